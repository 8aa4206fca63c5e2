"""A run's configuration: one dataclass, its file, and its validation."""

import dataclasses
import json
import pathlib
from typing import Annotated, Any

import pydantic
import tyro

import envs
from envs.command import UserError
from envs.engines import resolve_engine
from mjx_tecrl import named_agent
from mjx_tecrl.agent import MatmulPrecision
from train.files import replace_file

CONFIG_FILE = "config.json"
CONFIG_BYTES = 2**20
"""A config has some thousand bytes: a larger file is none."""

REPLAY_FIELDS = ("updates_per_step", "batch_size", "replay_size", "learning_starts")
"""Fields of agents with a replay; they are 0 for on-policy agents."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a run depends on. Steps are environment steps, summed over all worlds, unless said otherwise."""

    env: str
    """the task; see the README for the list"""
    agent: str
    """the agent; see the README for the list"""
    preset: str
    """where the other values come from: paper, quick (CPU), parallel (thousands of worlds), or auto (quick on CPU)"""
    env_args: Annotated[Any, tyro.conf.arg(name="env")]
    agent_args: Annotated[Any, tyro.conf.arg(name="agent")]
    total_steps: int
    """length of the run (environment steps)"""
    num_envs: int
    """worlds simulated side by side"""
    updates_per_step: int
    """gradient steps per step of all worlds (0 for on-policy agents)"""
    batch_size: int
    """transitions per gradient step (0 for on-policy agents)"""
    replay_size: int
    """transitions kept, over all worlds (0 for on-policy agents)"""
    learning_starts: int
    """transitions collected before the first gradient step (0 for on-policy agents)"""
    normalize_obs: bool
    """normalise observations by their running mean and standard deviation"""
    log_steps: int
    """environment steps between log lines"""
    eval_steps: int
    """environment steps between evaluations"""
    checkpoint_steps: int
    """environment steps between checkpoints; there is always one at the end"""
    physics: str = "auto"
    """physics engine: auto (native on CPU, mjx elsewhere), mjx, warp or native"""
    solver: Annotated[envs.SolverConfig, tyro.conf.arg(name="physics")] = envs.SolverConfig()
    randomization: Annotated[envs.Randomization, tyro.conf.arg(name="randomize")] = envs.NOT_RANDOMIZED
    random_start: bool = False
    """until the first gradient step act uniformly at random instead of by the untrained policy (agents with a replay)"""
    normalize_reward: bool = False
    """divide rewards by the running spread of discounted returns, which then stay within 5 (agents with a replay)"""
    eval_episodes: int = 16
    """episodes per evaluation"""
    devices: int = 1
    """devices that share the worlds, the replay and the batches; default: one, or all those of a run of several processes"""
    seed: int = 0
    """seed of everything random"""
    num_seeds: int = 1
    """independent runs trained side by side in one program, with the seeds from --seed on; each in a directory of its own"""
    run_dir: str | None = None
    """where to write; default: runs/ENV-AGENT-TIME"""
    keep_checkpoints: int = 2
    """how many of the newest checkpoints to keep, beside the first and the one with the best evaluation"""
    checkpoint_replay: bool = True
    """keep the replay in checkpoints: large, but a resumed run goes on exactly; without, it fills its replay again"""
    max_diverged: float = 0.01
    """largest share of world steps that may blow up in a logging interval, and of start states that may be bad, before the
    run stops"""
    max_skipped: float = 0.5
    """largest share of gradient steps that may be skipped as not finite; above it for three logging intervals in a row, the
    run stops"""
    deterministic: bool = False
    """on a GPU: only kernels that sum in a fixed order, chosen without measuring, so that a run can be repeated exactly (on
    a CPU it always can be); slower; warp's physics is not covered"""
    matmul_precision: MatmulPrecision = "float32"
    """what an accelerator may round the operands of the networks' matrix products to: the faster, the coarser (physics is
    always in float32; a CPU knows no other)"""
    compilation_cache: str | None = "~/.cache/mjx_tecrl"
    """folder for compiled programs, so that the next start is fast; None for no cache"""
    wandb: bool = False
    """log to Weights & Biases too (extra: wandb)"""

    def validate(self) -> "Config":
        """The config with ``auto`` resolved.

        Raises:
          UserError: a value that cannot be; one sentence.
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
        if any(getattr(self, name) for name in REPLAY_FIELDS):
            self._check_replay()
        try:
            return dataclasses.replace(self, physics=resolve_engine(self.physics))
        except ValueError as error:
            raise UserError(f"{error}.") from error

    def _check_replay(self) -> None:
        values = [getattr(self, name) for name in REPLAY_FIELDS]
        if min(values) < 1:
            raise UserError(
                f"{', '.join(map(flag, REPLAY_FIELDS))} must all be at least 1, or all 0 for an on-policy agent, "
                f"not {', '.join(map(str, values))}."
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
        """The config as JSON has it; `config_from_json` reads it."""
        return json.loads(pydantic.TypeAdapter(dict[str, Any], config=_JSON).dump_json(dataclasses.asdict(self)))


def load_config(run_dir: pathlib.Path) -> Config:
    """The config of a run directory, each value checked against its field's type.

    Raises:
      UserError: no config there, or one that does not fit this version.
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
    return config_from_json(values, str(path))


def config_from_json(values: Any, source: str) -> Config:
    """The config that `Config.to_json` wrote, each value checked against its field's type.

    Args:
      values: parsed JSON.
      source: where it comes from, for the sentence.

    Raises:
      UserError: it does not fit this version.
    """
    try:
        values = dict(values)
        types = {"env_args": envs.task(values["env"]).Args, "agent_args": named_agent(values["agent"]).Config}
        for name, kind in types.items():
            values[name] = _read(kind, values[name])
        # Never from a file: the folder holds programs, and a stranger's run could name a stranger's folder.
        values.pop("compilation_cache", None)
        return _read(Config, values)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source} lacks or mistypes a field: {error}.") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{source}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    except ValueError as error:
        raise UserError(f"{source}: {error}.") from error


_JSON = pydantic.ConfigDict(ser_json_inf_nan="strings", extra="forbid")


def _read(kind: type, values: dict[str, Any]) -> Any:
    unknown = set(values) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    return pydantic.TypeAdapter(kind).validate_python(values)


def flag(name: str) -> str:
    """The command line's name of a field."""
    return "--" + name.replace("_", "-")
