"""Will it fit? Asked before anything is allocated."""

import jax
import psutil

from mjx_tecrl.replay import replay_bytes
from train.errors import UserError
from train.learner import Learner


def check_memory(learner: Learner) -> None:
    """Checks that the replay, or the rollout, fits into the memory of the device.

    Raises:
      UserError: it does not; the sentence says what to lower, and to what.
    """
    storage = learner.loop.storage
    needed = replay_bytes(learner.row_shapes(), storage.rows)
    free, where = _free_bytes()
    # The rest (worlds, networks, compiled programs' scratch, the host's share of a checkpoint) wants room too.
    usable = int(0.8 * free)
    if needed > usable:
        fits = storage.value * usable // needed
        raise UserError(
            f"{storage.flag} {storage.value} needs {needed / 2**30:.1f} GiB and {where} has {free / 2**30:.1f} GiB "
            f"free: lower it to {fits} or less."
        )


def _free_bytes() -> tuple[int, str]:
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0), f"{device.device_kind}"
    return psutil.virtual_memory().available, "this machine"
