"""A run's configuration: one dataclass, its file, and its validation."""

import dataclasses
import json
import pathlib
from typing import Annotated, Any

import pydantic
import tyro

import envs
from envs.command import UserError, check_seed, sentence, user_errors
from envs.engines import check_engine
from envs.own_code import confirmed, located
from envs.tasks.task_args import CheckedArgs
from mjx_tecrl.agent import MatmulPrecision
from train.agents import find_agent
from train.files import replace_file

CONFIG_FILE = "config.json"
CONFIG_BYTES = 2**20
"""Largest config that is read. A config has a few thousand bytes, so a larger file is not one."""

REPLAY_FIELDS = ("steps_per_update", "updates_per_step", "batch_size", "replay_size", "learning_starts")
"""Fields that only agents with a replay use. For on-policy agents they are 0."""

PACES = (1e-6, 1e9)
"""Smallest and largest ``steps_per_update``."""

SCHEDULE_TOLERANCE = 0.02
"""How far the number of gradient steps may be from what ``steps_per_update`` asks for, as a share of it. Without a tolerance
an odd number of worlds would need long pauses between learning, and then many gradient steps in a row."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a run depends on. Steps are environment steps, summed over all worlds, unless said otherwise."""

    env: str
    """the task; python -m envs.list shows them all; or a class in a file of your own: my_robot.py:Lift"""
    agent: str
    """the agent; docs/agents has a page for each; or one in a file of your own: my_agent.py:my_agent"""
    preset: str
    """where the other values come from: paper, quick (CPU), parallel (thousands of worlds), or auto (quick on CPU)"""
    env_args: Annotated[Any, tyro.conf.arg(name="env")]
    agent_args: Annotated[Any, tyro.conf.arg(name="agent")]
    total_steps: int
    """length of the run (environment steps)"""
    num_envs: int
    """worlds simulated side by side"""
    batch_size: int
    """transitions per gradient step (0 for on-policy agents)"""
    replay_size: int
    """transitions that the replay holds, over all worlds (0 for on-policy agents)"""
    learning_starts: int
    """transitions collected before the first gradient step (0 for on-policy agents)"""
    normalize_obs: bool
    """normalise observations by their running mean and standard deviation"""
    log_steps: int
    """environment steps between log lines"""
    eval_steps: int
    """environment steps between evaluations"""
    checkpoint_steps: int
    """environment steps between checkpoints; there is always a checkpoint at the end"""
    steps_per_update: float = 0.0
    """environment steps per gradient step, whatever the number of worlds (0 for on-policy agents)"""
    updates_per_step: int | None = None
    """gradient steps per vector step, that is one step of all worlds; None: as many as --steps-per-update asks for (0 for
    on-policy agents)"""
    physics: str = "auto"
    """physics engine: mjx, warp, native or auto; auto is native on a CPU, warp on an NVIDIA GPU where the task runs on it
    and --deterministic is not given, and mjx elsewhere"""
    solver: Annotated[envs.SolverConfig, tyro.conf.arg(name="physics")] = envs.SolverConfig()
    randomization: Annotated[envs.Randomization, tyro.conf.arg(name="randomize")] = envs.NOT_RANDOMIZED
    random_start: bool = False
    """until the first gradient step, act uniformly at random instead of by the untrained policy (agents with a replay)"""
    normalize_reward: bool = False
    """divide rewards by the running spread of discounted returns; the returns then stay within 5 (agents with a replay)"""
    eval_episodes: int = 16
    """episodes per evaluation"""
    devices: int = 1
    """devices that share the worlds, the replay and the batches; default: one, or all those of a run of several processes"""
    seed: int = 0
    """seed of all random numbers"""
    num_seeds: int = 1
    """independent runs, trained side by side in one program with the seeds from --seed on, each in its own directory"""
    run_dir: str | None = None
    """directory to write to; default: runs/ENV-AGENT-TIME"""
    keep_checkpoints: int = 2
    """how many of the newest checkpoints to keep; the first and the one with the best evaluation are kept as well"""
    checkpoint_replay: bool = True
    """keep the replay in checkpoints: they are large, but a resumed run goes on exactly; without it, a resumed run has to
    fill its replay again"""
    max_diverged: float = 0.01
    """the run stops if more than this share of the environment steps of a logging interval blew up, or if more than this
    share of its start states was bad"""
    max_skipped: float = 0.5
    """the run stops if, in each of three logging intervals in a row, more than this share of the gradient steps was skipped
    as not finite"""
    deterministic: bool = False
    """on a GPU: use only kernels that sum in a fixed order and that are chosen without measuring their speed, so that a run
    can be repeated exactly; slower, and without effect on the physics of warp (on a CPU, a run can always be repeated)"""
    matmul_precision: MatmulPrecision = "float32"
    """what an accelerator may round the operands of the networks' matrix products to: the coarser, the faster (physics is
    always in float32, and so is everything on a CPU)"""
    compilation_cache: str | None = "~/.cache/mjx_tecrl"
    """folder that keeps compiled programs, so that the next start is fast; None for no cache"""
    wandb: bool = False
    """log to Weights & Biases as well (extra: wandb)"""

    @property
    def update_schedule(self) -> tuple[int, int]:
        """``(updates, every)``: so many gradient steps in a row, after every so many vector steps.

        If ``updates_per_step`` is set, it is the first, and the second is 1. Otherwise they are the smallest numbers that
        come within `SCHEDULE_TOLERANCE` of ``steps_per_update``, so that the number of worlds does not change how many
        gradient steps a run makes.
        """
        if self.updates_per_step is not None:
            return self.updates_per_step, 1
        if not PACES[0] <= self.steps_per_update <= PACES[1]:
            return 0, 1
        per_step = max(1, self.num_envs) / self.steps_per_update
        if per_step >= 1:
            return _small_ratio(per_step)
        every, updates = _small_ratio(1 / per_step)
        return updates, every

    @property
    def first_fill(self) -> int:
        """Vector steps before the first gradient step.

        There are at least 2: of a row that nothing has followed yet no transition can be drawn.
        """
        return max(2, -(-self.learning_starts // self.num_envs))

    def validate(self) -> "Config":
        """The config, checked. What ``--physics auto`` stands for is left open, since that needs the task (`make_problem`).

        Raises:
          UserError: a value is impossible; one sentence.
        """
        positive = [
            "total_steps",
            "num_envs",
            "log_steps",
            "eval_steps",
            "checkpoint_steps",
            "eval_episodes",
            "keep_checkpoints",
            "num_seeds",
            "devices",
        ]
        for name in positive:
            if getattr(self, name) < 1:
                raise UserError(f"{flag(name)} must be at least 1, not {getattr(self, name)}.")
        for name in ("max_diverged", "max_skipped"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{flag(name)} must be a share from 0 to 1, not {getattr(self, name)}.")
        check_seed(self.seed)
        check_seed(self.seed + self.num_seeds - 1, "The last of --num-seeds")
        if any(getattr(self, name) for name in REPLAY_FIELDS if name != "steps_per_update"):
            self._check_replay()
        with user_errors():
            check_engine(self.physics)
        return self

    def located(self) -> "Config":
        """The config, independent of the working directory: relative paths of the user's files become absolute."""
        args = self.env_args.located() if isinstance(self.env_args, CheckedArgs) else self.env_args
        return dataclasses.replace(self, env=located(self.env), agent=located(self.agent), env_args=args)

    def _check_replay(self) -> None:
        pace = "steps_per_update" if self.updates_per_step is None else "updates_per_step"
        sizes = {name: getattr(self, name) for name in REPLAY_FIELDS if name != "steps_per_update"}
        if self.updates_per_step is None:
            del sizes["updates_per_step"]
            if not PACES[0] <= self.steps_per_update <= PACES[1]:
                raise UserError(
                    f"--steps-per-update must be from {PACES[0]:g} to {PACES[1]:g}, or 0 for an on-policy agent, "
                    f"not {self.steps_per_update:g}."
                )
        if min(sizes.values()) < 1:
            raise UserError(
                f"{', '.join(map(flag, sizes))} must all be at least 1, or all 0 for an on-policy agent, "
                f"not {', '.join(map(str, sizes.values()))}."
            )
        updates, _ = self.update_schedule
        if updates * self.batch_size >= 2**31:
            raise UserError(
                f"{flag(pace)} {getattr(self, pace):g} asks for {updates} gradient steps in a row with {self.num_envs} "
                f"worlds, of {self.batch_size} transitions each, and at most {2**31 - 1} transitions can be counted."
            )
        if self.batch_size > self.learning_starts:
            raise UserError(
                f"--batch-size {self.batch_size} is larger than the first fill of the replay: "
                f"lower it or raise --learning-starts (now {self.learning_starts})."
            )
        if self.learning_starts >= self.replay_size:
            raise UserError(
                f"--learning-starts {self.learning_starts} must be smaller than --replay-size {self.replay_size}."
            )
        held = self.replay_size // self.num_envs * self.num_envs
        if self.replay_size >= 2 * self.num_envs and held < self.learning_starts:
            raise UserError(
                f"--replay-size {self.replay_size} holds {held} transitions, the same number of each of the {self.num_envs} "
                f"worlds, and learning begins with {self.learning_starts}: raise it or lower --learning-starts."
            )
        if self.replay_size // self.num_envs >= 2**31:
            raise UserError(
                f"--replay-size {self.replay_size} holds {self.replay_size // self.num_envs} steps of each world, and at "
                f"most {2**31 - 1} can be counted: lower it or raise --num-envs."
            )
        if self.replay_size < 2 * self.num_envs:
            raise UserError(
                f"--replay-size {self.replay_size} must hold at least 2 steps of each of the {self.num_envs} worlds "
                f"({2 * self.num_envs}): raise it or lower --num-envs."
            )

    def save(self, run_dir: pathlib.Path) -> None:
        """Writes the config into the run directory.

        Raises:
          UserError: it cannot be written; one sentence.
        """
        try:
            replace_file(run_dir / CONFIG_FILE, json.dumps(self.to_json(), indent=2).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{run_dir / CONFIG_FILE} cannot be written: {error.strerror}.") from error

    def to_json(self) -> dict[str, Any]:
        """The config as values that JSON knows. `config_from_json` reads them."""
        return json.loads(pydantic.TypeAdapter(dict[str, Any], config=_JSON).dump_json(dataclasses.asdict(self)))


def load_config(run_dir: pathlib.Path, env: str | None = None, agent: str | None = None) -> Config:
    """The config of a run directory. Each value is checked against the type of its field.

    Args:
      run_dir: the run directory.
      env: see `config_from_json`.
      agent: likewise.

    Raises:
      UserError: there is no config, or it does not fit this version; one sentence.
    """
    path = run_dir / CONFIG_FILE
    try:
        if path.stat().st_size > CONFIG_BYTES:
            raise UserError(f"{path} is too large to be a config.")
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{run_dir} is not a run directory: {path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from error
    return config_from_json(values, str(path), env, agent)


def config_from_json(values: Any, source: str, env: str | None = None, agent: str | None = None) -> Config:
    """The config that `Config.to_json` wrote. Each value is checked against the type of its field.

    Args:
      values: parsed JSON.
      source: where the values come from, for the error's sentence.
      env: the task as the user of this command names it. A task in a file or module of one's own must be named: the code
        that a config names is not run because of that. None if the user names none.
      agent: the agent, likewise.

    Raises:
      UserError: the values do not fit this version, or code of one's own was not named; one sentence.
    """
    try:
        values = dict(values)
        for name, given in (("env", env), ("agent", agent)):
            values[name] = confirmed(name, values[name], given, source)
        types = {"env_args": envs.task(values["env"]).Args, "agent_args": find_agent(values["agent"]).Config}
        for name, kind in types.items():
            values[name] = _read(kind, values[name])
        # This is never taken from a file: the folder holds programs, and a stranger's run could name a stranger's folder.
        values.pop("compilation_cache", None)
        return _read(Config, values)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source} lacks or mistypes a field: {error}.") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{source}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    except ValueError as error:
        raise UserError(sentence(f"{source}: {error}")) from error


_JSON = pydantic.ConfigDict(ser_json_inf_nan="strings", extra="forbid")


def _read(kind: type, values: dict[str, Any]) -> Any:
    unknown = set(values) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    return pydantic.TypeAdapter(kind).validate_python(values)


def _small_ratio(x: float) -> tuple[int, int]:
    """The fraction nearest to ``x >= 1`` with the smallest denominator that is within `SCHEDULE_TOLERANCE` of it."""
    denominator = 1
    while abs(round(x * denominator) - x * denominator) > SCHEDULE_TOLERANCE * x * denominator:
        denominator += 1
    return round(x * denominator), denominator


def flag(name: str) -> str:
    """The name of a field on the command line."""
    return "--" + name.replace("_", "-")
