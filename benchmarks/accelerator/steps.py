"""What there is to measure, as data: the steps, in the order of their worth. The short form takes a CPU minutes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

MEASUREMENTS = "benchmarks.accelerator.measurements"


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One measurement.

    Attributes:
      name: unique; also of its section in the JSON file.
      does: what it does, in words.
      minutes: expected on one H100, with compilation. No card has confirmed any of them. Of a training that is longer it is
        the share: after it, the other steps have their turn.
      function: ``module:name`` of what makes it.
      options: keyword arguments of the function.
      trains: it is a run, which goes on from its checkpoint. Others begin again.
      to_beat: others' figures, by what they are.
    """

    name: str
    does: str
    minutes: float
    function: str
    options: Mapping[str, Any]
    trains: bool = False
    to_beat: Mapping[str, float] = dataclasses.field(default_factory=dict)


_NOTHING: Mapping[str, float] = {}


def smoke(engine: str, minutes: float, task: str = "hopper", num_envs: int = 256, **values: Any) -> Step:
    """An engine steps and something learns on it."""
    options = {"task": task, "agent": "dsac_e", "preset": "quick", "physics": engine, "num_envs": num_envs, **values}
    does = f"dsac_e trains on {task} in {num_envs} worlds of {engine}"
    return Step(f"smoke {engine}", does, minutes, f"{MEASUREMENTS}:training", options, trains=True)


def physics(
    engine: str,
    num_envs: int,
    minutes: float,
    task: str = "humanoid",
    seconds: float = 5.0,
    to_beat: Mapping[str, float] = _NOTHING,
) -> Step:
    """The rate of the physics alone."""
    options = {"task": task, "engine": engine, "num_envs": num_envs, "seconds": seconds}
    does = f"steps {num_envs} worlds of {task} on {engine}, without an agent"
    function = f"{MEASUREMENTS}:physics"
    return Step(f"physics {engine} {num_envs}", does, minutes, function, options, to_beat=to_beat)


def updates(precision: str, batch_size: int, minutes: float = 0.4, task: str = "humanoid", count: int = 50) -> Step:
    """The rate of gradient steps alone."""
    options = {
        "task": task,
        "agent": "dsac_e",
        "preset": "parallel",
        "batch_size": batch_size,
        "count": count,
        "precision": precision,
    }
    does = f"makes gradient steps of dsac_e with {batch_size} transitions in {precision}"
    return Step(f"updates {precision} {batch_size}", does, minutes, f"{MEASUREMENTS}:updates", options)


def exactness(minutes: float, task: str, engine: str, **values: Any) -> Step:
    """Whether numbers are the same again."""
    pace = {"num_envs": 8, "updates_per_step": 1, "learning_starts": 160, "batch_size": 32, "replay_size": 1200}
    intervals = {"log_steps": 400, "eval_steps": 800, "checkpoint_steps": 800, "eval_episodes": 4}
    named = {"env": task, "agent": "dsac_e", "physics": engine, **pace, **intervals, **values}
    flags = [word for name, value in named.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    options = {"flags": [*flags, "--deterministic"], "half": 800, "total": 1600}
    does = f"compares runs of {task} on {engine} with --deterministic, twice and interrupted, bit for bit"
    return Step("exactness", does, minutes, f"{MEASUREMENTS}:exactness", options)


def humanoid(agent: str, minutes: float = 3.0) -> Step:
    """The documented command in 4096 worlds, five seeds in one program."""
    options = {
        "task": "humanoid",
        "agent": agent,
        "preset": "parallel",
        "num_seeds": 5,
        "total_steps": 50_000_000,
        "checkpoint_steps": 4_096_000,
        "keep_checkpoints": 1,
    }
    does = f"{agent} trains on humanoid in 4096 worlds, five seeds in one program"
    return Step(f"humanoid 4096 {agent}", does, minutes, f"{MEASUREMENTS}:training", options, trains=True)


def paper(name: str, agent: str, minutes: float = 3.0, to_beat: Mapping[str, float] = _NOTHING) -> Step:
    """TECRL's protocol: 20 worlds, for which C MuJoCo beside the card is expected to be the fastest engine."""
    options = {
        "task": "humanoid",
        "agent": agent,
        "preset": "paper",
        "num_envs": 20,
        "physics": "native",
        "keep_checkpoints": 1,
    }
    does = f"{agent} trains on humanoid by the paper's protocol, in 20 worlds of native"
    function = f"{MEASUREMENTS}:training"
    return Step(f"paper {name}", does, minutes, function, options, trains=True, to_beat=to_beat)


FLAT_TERRAIN = {
    "G1": {"FastTD3 at 10 M": 16.7, "FastTD3 at 25 M": 29.1, "FlashSAC at 10 M": 9.7, "FlashSAC at 25 M": 33.8},
    "T1": {"FastTD3 at 10 M": 23.4, "FastTD3 at 25 M": 33.6, "FlashSAC at 10 M": 24.8, "FlashSAC at 25 M": 36.2},
}
"""Mean returns of Playground's joystick tasks that the authors of the two agents give, after so many million steps."""

JOYSTICK = {"fast_td3": "value_range=[-10,10],discount=0.97", "fast_sac_era": "value_range=[-10,10],discount=0.97"}
"""FastTD3's constants for Playground, where those of its paper's preset are for other rewards."""


def playground(robot: str, agent: str, minutes: float = 3.0) -> Step:
    """A joystick task of Playground, for 25 million steps, on MJX.

    On Warp (``impl``), Playground's state has arrays without an axis for the worlds, which `VectorEnv` cannot reset.
    """
    task = f"playground/{robot}JoystickFlatTerrain"
    options = {
        "task": task,
        "agent": ":".join(filter(None, (agent, JOYSTICK.get(agent)))),
        "preset": "paper",
        "num_envs": 1024,
        "steps_per_update": 512,
        "replay_size": 1024 * 4096,  # their 10,000 steps of each world would leave little of the card's memory
        "total_steps": 25_000_000,
        "log_steps": 204_800,
        "eval_steps": 5_017_600,
        "eval_episodes": 128,
        "checkpoint_steps": 5_017_600,
        "keep_checkpoints": 1,
    }
    does = f"{agent} trains on Playground's {robot} on flat terrain for 25 million steps"
    function = f"{MEASUREMENTS}:training"
    name = f"playground {robot} {agent}"
    return Step(name, does, minutes, function, options, trains=True, to_beat=FLAT_TERRAIN[robot])


BATCHES = (256, 2048, 8192, 32768)
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")

FULL = (
    # Does anything work, and how fast is the documented command? This fills the first call of nine minutes.
    smoke("native", 0.6, total_steps=200_000),
    smoke("warp", 0.8, total_steps=200_000),
    smoke("mjx", 0.9, total_steps=200_000),
    physics("warp", 4096, 0.7, to_beat={"A100, 8192 worlds, physics steps/s": 2_960_000}),
    physics("mjx", 4096, 1.5, to_beat={"A100, 8192 worlds, physics steps/s": 950_000}),
    humanoid("dsac_e"),
    updates("float32", 256),
    updates("tensorfloat32", 256),
    # The second: the numbers to beat, and what no CPU can show.
    playground("G1", "flash_sac"),
    playground("G1", "fast_td3"),
    exactness(2.5, "hopper", "mjx"),
    # The third.
    humanoid("fast_sac_era"),
    playground("G1", "fast_sac_era"),
    *(updates(precision, batch) for batch in BATCHES[2:] for precision in PRECISIONS),
    physics("native", 20, 0.3),
    physics("warp", 20, 0.7),
    physics("mjx", 20, 1.5),
    # With more time.
    paper("dsac_e", "dsac_e", to_beat={"DSAC-E in the paper": 12542}),
    paper("dsac_t", "dsac_t", to_beat={"DSAC-T in the paper": 10829}),
    # A fixed temperature has no budget, so that it accepts no rho but 1.
    paper("temperature 0", "dsac_e:entropy=fixed,rho=1,init_log_alpha=-20", to_beat={"DSAC-E in the paper": 12542}),
    *(playground("T1", agent) for agent in ("flash_sac", "fast_td3", "fast_sac_era")),
    *(physics(engine, n, 1.0) for n in (256, 1024, 16384) for engine in ("warp", "mjx", "native")),
    physics("native", 4096, 0.5),
    updates("bfloat16", 256),
    *(updates(precision, 2048) for precision in PRECISIONS),
)
"""The most valuable first."""

_TINY: dict[str, Any] = {
    "updates_per_step": 1,
    "batch_size": 8,
    "replay_size": 400,
    "learning_starts": 40,
    "log_steps": 80,
    "eval_steps": 160,
    "checkpoint_steps": 80,
    "eval_episodes": 2,
}
_PENDULUM = "inverted_pendulum"
_FEW: dict[str, Any] = {"task": _PENDULUM, "num_envs": 4, "physics": "native", **_TINY}


def _short(step: Step, **options: Any) -> Step:
    does, options = f"{step.does} (short form)", {**step.options, **options}
    return dataclasses.replace(step, does=does, minutes=0.5, options=options, to_beat={})


SHORT = (
    *(smoke(engine, 0.5, _PENDULUM, 4, **_TINY, total_steps=160) for engine in ("native", "warp", "mjx")),
    *(physics(engine, n, 0.5, _PENDULUM, 0.05) for n in (2, 4) for engine in ("native", "warp", "mjx")),
    *(_short(humanoid(agent), **_FEW, total_steps=160, num_seeds=2) for agent in ("dsac_e", "fast_sac_era")),
    _short(paper("dsac_e", "dsac_e", to_beat={"DSAC-E in the paper": 12542}), **_FEW, total_steps=160),
    _short(
        playground("G1", "fast_td3"),
        **_TINY | {"task": "playground/CartpoleBalance", "num_envs": 4},
        total_steps=160,
    ),
    *(updates(precision, 8, 0.5, _PENDULUM, 2) for precision in PRECISIONS),
    exactness(3.0, _PENDULUM, "native"),
)
"""The same functions on a pendulum, on a CPU."""
