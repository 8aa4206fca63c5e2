"""When a run goes wrong: the evidence that is kept, and the rules by which the run stops."""

import io
import pathlib
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from envs import State
from envs.blow_ups import BlowUps
from envs.command import UserError, first_line, quoted, typed, warn
from envs.finite import is_finite
from envs.own_code import label
from train.arrays import describe, from_arrays, misfit, to_arrays
from train.code_file import naming
from train.config import Config
from train.files import replace_file
from train.processes import is_main_process

DUMP_FILE = "diverged.npz"
"""The last blow-ups of a run, in its directory: see `save_dump`."""

PATIENCE = 3
"""A run stops after this many logging intervals in a row in which too many updates were skipped."""


def check_starts(pool: State, config: Config) -> None:
    """Refuses a task whose start states are not finite.

    Args:
      pool: `State` with leading axis ``[pool_size]``, of several seeds ``[num_seeds, pool_size]``.
      config: the run's config. Its ``max_diverged`` is the largest share of start states that may be bad.

    Raises:
      UserError: too many are bad; one sentence.
    """
    finite = jax.vmap(is_finite) if config.num_seeds > 1 else is_finite
    bad = ~np.asarray(finite(pool))
    if bad.mean(-1).max() > config.max_diverged or bad.all():
        raise UserError(
            f"{bad.sum()} of {bad.size} start states of {label(config.env)} are not finite (limit --max-diverged "
            f"{config.max_diverged}): its reset is at fault."
        )


class Watch:
    """Says when a run has to stop.

    A run stops when

    - a larger share of the environment steps of a logging interval blew up than ``max_diverged`` allows,
    - a larger share of the interval's start states than that was bad, or
    - a larger share of the gradient steps than ``max_skipped`` was skipped in each of `PATIENCE` intervals in a row.

    Args:
      config: the run's config.
      run_dir: the run directory, for the sentence that says why the run stops.
      interval_steps: environment steps in an interval, over all worlds. A shorter last one counts as one of this length: a
        share of a few steps would say little.
      pool_size: start states drawn for an interval.
    """

    def __init__(self, config: Config, run_dir: pathlib.Path, interval_steps: int, pool_size: int):
        self._config = config
        self._run_dir = run_dir
        self._interval_steps = interval_steps
        self._pool_size = pool_size
        self._mostly_skipped = 0

    def add_interval(self, metrics: dict[str, Any]) -> str | None:
        """Takes note of an interval, and returns why the run has to stop after it, in one sentence; None if it may go on.

        Args:
          metrics: of the interval, on the host.
        """
        # The share is NaN where there was no gradient step. NaN is not greater than the limit.
        skipping = metrics["safety/skipped_share"] > self._config.max_skipped
        self._mostly_skipped = self._mostly_skipped + 1 if skipping else 0

        limit = f"limit --max-diverged {self._config.max_diverged}"
        share = metrics["safety/diverged"] / self._interval_steps
        if share > self._config.max_diverged:
            look = f"{typed('eval.inspect')} {quoted(self._run_dir)}{naming(self._config)}"
            return (
                f"Worlds blew up on {share:.1%} of the last {self._interval_steps} environment steps ({limit}): the run "
                f"stopped with a checkpoint; look at the states before with: {look}"
            )
        bad = metrics["safety/bad_starts"]
        if bad / self._pool_size > self._config.max_diverged:
            return (
                f"{bad} of {self._pool_size} fresh start states were not finite ({limit}): the run stopped with a "
                "checkpoint, which holds none of them."
            )
        if self._mostly_skipped >= PATIENCE:
            return (
                f"In each of the last {PATIENCE} logging intervals more than {self._config.max_skipped:.0%} of the gradient "
                f"steps were skipped (limit --max-skipped {self._config.max_skipped}), because a loss, a gradient or a "
                "parameter was not finite: the run stopped with a checkpoint; lower the learning rates, or the scale of the "
                "rewards."
            )
        return None


def save_evidence(run_dir: pathlib.Path, blow_ups: BlowUps) -> None:
    """As `save_dump`, by the main process alone; only warns where the file cannot be written."""
    if not is_main_process():
        return
    try:
        save_dump(run_dir, blow_ups)
    except OSError as error:
        warn(f"The worlds that blew up could not be written to {run_dir / DUMP_FILE}: {error.strerror}. Training goes on.")


def save_dump(run_dir: pathlib.Path, blow_ups: BlowUps) -> None:
    """Writes the blow-ups that are kept.

    The file holds one array per leaf with leading axis ``[kept]``, named by the path of the leaf (``physics.qpos``,
    ``info.model.body_mass``, ``action``, ``world``, ``steps``). PRNG keys are written as their data.
    """
    arrays = {name: np.asarray(x)[: blow_ups.kept] for name, x in to_arrays(blow_ups).items() if name != "count"}
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **arrays)
    replace_file(run_dir / DUMP_FILE, data.getvalue())


def load_dump(run_dir: pathlib.Path, like: BlowUps) -> BlowUps:
    """The blow-ups in a run directory. Their ``count`` is how many there are, the length of the leading axis.

    Args:
      run_dir: the run directory.
      like: structure and shapes of the run's blow-ups (arrays or ``jax.ShapeDtypeStruct``).

    Raises:
      UserError: there are none, the file is damaged, or it belongs to another task; one sentence.
    """
    path = run_dir / DUMP_FILE
    if not path.exists():
        raise UserError(f"There is no {path}: no world of this run has blown up.")
    try:
        # The file is opened here because NumPy leaves an archive open that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}.") from error
    kept = len(stored["world"]) if stored.get("world", np.zeros(())).ndim else 0
    as_many = jax.tree.map(lambda x: jax.ShapeDtypeStruct((kept, *x.shape[1:]) if x.ndim else (), x.dtype), like)
    count = {"count": jnp.asarray(kept, jnp.int32)}
    wanted = {name: describe(x) for name, x in to_arrays(as_many if kept else like).items() if name not in count}
    if found := misfit({name: describe(x) for name, x in stored.items()}, wanted):
        name, there, needed = found
        raise UserError(f"{path} does not belong to this run: {name} is {there} there, but {needed} here.")
    return from_arrays(stored | count, as_many)
