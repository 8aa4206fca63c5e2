"""``python -m benchmarks.features``: what a model may contain, on every engine, against plain C MuJoCo, as a table.

Each feature of MuJoCo's model format is shown by one small model. A group of worlds of this model runs under random
controls, interleaved with a second group, which a state that outlives a step would mix up. Each world of the first group is
compared with an ``MjData`` of its own, which plain C MuJoCo steps. An engine has to simulate the feature alike, or refuse
the model.
"""

import dataclasses
import pathlib
import sys
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import tyro

from benchmarks.choices import EngineName
from benchmarks.feature_models import FEATURES, Feature
from benchmarks.report import Report
from envs.command import UserError, run_command
from envs.engines import Engine, PhysicsState, SolverConfig, make_engine
from envs.engines.native import silent
from envs.engines.support import with_fields
from train.compilation_cache import use_compilation_cache
from train.config import Config

PROGRAM = "python -m benchmarks.features"

_ENGINES: tuple[EngineName, ...] = ("native", "mjx", "warp")

STEPS = 60
"""Environment steps that are compared."""
SUBSTEPS = 2
"""Physics steps per environment step."""
WORLDS = 3
"""Worlds in each of the two groups."""
TOLERANCE = 1e-3
"""Largest error that counts as alike. It leaves room for float32; a feature that is left out costs far more."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare features of models with plain C MuJoCo, engine by engine."""

    feature: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """feature to compare; may be repeated; default: all features"""
    engines: tuple[EngineName, ...] = _ENGINES
    """engines to compare"""
    json: pathlib.Path | None = None
    """file to write the figures to; features and engines in it that are not compared now are kept"""
    markdown: pathlib.Path | None = None
    """file to write the table to, made from all that is in the JSON file"""


def main(args: Args) -> None:
    """Compares, prints, writes."""
    unknown = [name for name in args.feature if name not in FEATURES]
    if unknown:
        raise UserError(f"There is no feature {unknown[0]!r}; choose from: {', '.join(FEATURES)}.")
    report = Report(PROGRAM, args)
    use_compilation_cache(Config.compilation_cache)
    for name in args.feature or FEATURES:
        for engine in args.engines:
            found = compare(FEATURES[name], engine)
            report.add(f"{name}, {engine}", {"feature": name, "engine": engine, **found})
            print(f"{name}, {engine}: {_cell(found)}", flush=True)
    report.save_page(page(report))


def compare(feature: Feature, engine_name: str) -> dict[str, Any]:
    """Compares one feature on one engine with plain C MuJoCo.

    Returns:
      ``refused``, the engine's sentence or None; and if it is None, ``error``: the largest error of a position, velocity,
      activation or sensor over all worlds and steps, in units of the largest such number of the model where that is above 1.
    """
    with silent():
        model = mujoco.MjModel.from_xml_string(feature.xml)
    reads = ("sensordata",) if model.nsensor else ()
    try:
        # The feature is compared, not how early the solver stops.
        engine = make_engine(model, reads, engine_name, SolverConfig(iterations=100, ls_iterations=50))
        ours = _play(engine, feature, reads)
    except (ValueError, NotImplementedError) as refusal:
        return {"refused": str(refusal), "error": None}
    theirs = _play_plain(model, feature, reads)
    worst = 0.0
    for name, expected in theirs.items():
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        error = np.abs(ours[name] - expected).max(initial=0) / scale
        worst = float(np.maximum(worst, np.where(np.isnan(error), np.inf, error)))
    return {"refused": None, "error": worst}


def _starts(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions ``[2, WORLDS, nq]``, velocities ``[2, WORLDS, nv]``, controls ``[STEPS, 2, WORLDS, nu]``."""
    rng = np.random.default_rng(0)
    qvel = rng.uniform(-0.3, 0.3, (2, WORLDS, model.nv))
    qpos = np.tile(model.qpos0, (2, WORLDS, 1))
    for start, velocity in zip(qpos.reshape(-1, model.nq), qvel.reshape(-1, model.nv), strict=True):
        if not model.nflex:  # a flex that starts out bent would need more than random numbers
            mujoco.mj_integratePos(model, start, velocity, 0.1)
    low, high = np.where(model.actuator_ctrllimited[:, None], model.actuator_ctrlrange, [-1.0, 1.0]).T
    ctrl = rng.uniform(low, high, (STEPS, 2, WORLDS, model.nu))
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


def _play(engine: Engine, feature: Feature, reads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """``qpos``, ``qvel``, ``act`` and sensors of the first group of worlds after each step, ``[STEPS, WORLDS, ...]``."""
    model = engine.model
    qpos, qvel, ctrl = _starts(model)
    fields = {name: jnp.asarray(value, jnp.float32) for name, value in feature.fields.items()}
    step = jax.jit(jax.vmap(lambda state, ctrl: engine.step(state, ctrl, SUBSTEPS, fields)))
    groups = [
        PhysicsState(
            qpos=jnp.asarray(qpos[group]),
            qvel=jnp.asarray(qvel[group]),
            act=jnp.zeros((WORLDS, model.na)),
            qacc_warmstart=jnp.zeros((WORLDS, model.nv)),
            time=jnp.zeros(WORLDS),
        )
        for group in range(2)
    ]
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("qpos", "qvel", "act", *reads)}
    for now in ctrl:
        after = [step(state, jnp.asarray(u)) for state, u in zip(groups, now, strict=True)]
        groups = [state for state, _ in after]
        state, derived = after[0]
        for name, row in rows.items():
            row.append(np.asarray(derived[name] if name in derived else getattr(state, name)))
    return {name: np.stack(row) for name, row in rows.items()}


def _play_plain(model: mujoco.MjModel, feature: Feature, reads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The same as `_play`, by ``mj_step`` alone."""
    qpos, qvel, ctrl = _starts(model)
    model = with_fields(model, feature.fields)
    names = ("qpos", "qvel", "act", *reads)
    worlds = []
    for world in range(WORLDS):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = qpos[0, world], qvel[0, world]
        rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for now in ctrl[:, 0, world]:
            data.ctrl[:] = now
            mujoco.mj_step(model, data, nstep=SUBSTEPS)
            for name, row in rows.items():
                row.append(getattr(data, name).copy())
        worlds.append(rows)
    return {name: np.stack([np.stack(rows[name]) for rows in worlds], axis=1) for name in names}


def page(report: Report) -> str:
    """The table as a page of the documentation."""
    engines = [name for name in _ENGINES if report.rows(engine=name)]
    lines = [_HEAD, "| engine | alike | refused | differs | not run |", "|---|---|---|---|---|"]
    for engine in engines:
        verdicts = [_verdict(found) for name in FEATURES for found in report.rows(feature=name, engine=engine)]
        counts = [verdicts.count(verdict) for verdict in ("alike", "refused", "differs")]
        lines.append(f"| {engine} | {' | '.join(map(str, counts))} | {len(FEATURES) - len(verdicts)} |")
    lines += ["", f"| feature | {' | '.join(engines)} |", "|---|" + "---|" * len(engines)]
    for name in FEATURES:
        cells = []
        for engine in engines:
            found = report.rows(feature=name, engine=engine)
            cells.append(_cell(found[0]) if found else "not run")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _verdict(found: dict[str, Any]) -> str:
    if found["refused"] is not None:
        return "refused"
    return "alike" if found["error"] < TOLERANCE else "differs"


def _cell(found: dict[str, Any]) -> str:
    verdict = _verdict(found)
    if verdict == "refused":
        return f"refused: {found['refused']}".replace("|", "\\|").replace("\n", " ")
    return f"{verdict if verdict == 'alike' else '**differs**'}, {found['error']:.0e}"


_HEAD = f"""\
# What a model may contain

Written by `{PROGRAM} --json benchmarks/results/features.json --markdown docs/features.md`.

Each row is one small model. {WORLDS} worlds of it make {STEPS} environment steps of {SUBSTEPS} physics steps under random
controls, interleaved with {WORLDS} other worlds, and are compared with plain C MuJoCo. *Alike* gives the largest error of a
position, velocity, activation or sensor, in units of the largest such number of the model where that is above 1. It is at
most {TOLERANCE:.0e}: states are float32 between two steps, and mjx and warp compute in float32. *Refused* gives the sentence
with which the engine refuses the model when it is made. *Differs* marks a larger error, which needs an explanation. *Not
run* marks what has not been compared on this engine yet. [Physics](physics.md) explains what else is known to differ.
"""


if __name__ == "__main__":
    sys.exit(run_command(Args, main, PROGRAM))
