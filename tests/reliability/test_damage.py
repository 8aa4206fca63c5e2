"""Checkpoints on failing disks: whatever happens to their files, what is read is what was written.

``python -m pytest -m long tests/reliability/test_damage.py`` is the long form.
"""

import pathlib
import random
import shutil
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from tests.runs import leaves, restore_state, tiny_config
from train.checkpoints import Checkpoints
from train.program import Program

Damage = Callable[[bytes, random.Random], bytes]


def flip_a_bit(data: bytes, rng: random.Random) -> bytes:
    changed, bit = bytearray(data), rng.randrange(8 * len(data))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def damaged(run_dir: pathlib.Path, damage: Damage, times: int) -> Counter[int]:
    """Damages a random file of the newest checkpoint, again and again; returns how often each step was used."""
    like, checkpoints = Program(tiny_config()).state_shapes(), Checkpoints(run_dir)
    newest = checkpoints.steps[-1]
    written, used, rng = {}, Counter[int](), random.Random(0)
    for step in checkpoints.steps:
        aside = run_dir.parent / str(step) / "checkpoints"
        shutil.copytree(run_dir / "checkpoints" / str(step), aside / str(step))
        written[step] = leaves(restore_state(Checkpoints(aside.parent), like)[1])
    files = sorted(p for p in (run_dir / "checkpoints" / str(newest)).rglob("*") if p.is_file() and p.stat().st_size)
    for _ in range(times):
        path = rng.choice(files)
        intact = path.read_bytes()
        path.write_bytes(damage(intact, rng))
        step, state, _ = restore_state(checkpoints, like)
        for x, y in zip(leaves(state), written[step], strict=True):
            np.testing.assert_array_equal(x, y)  # otherwise the corruption would be silent
        used[step] += 1
        path.write_bytes(intact)
    return used


@pytest.mark.parametrize(
    ("damage", "times"),
    [
        (flip_a_bit, 12),
        (truncate, 8),
        pytest.param(flip_a_bit, 200, marks=pytest.mark.long),
        pytest.param(truncate, 50, marks=pytest.mark.long),
    ],
)
def test_damage_is_never_silent(tiny_run: pathlib.Path, tmp_path: pathlib.Path, damage: Damage, times: int) -> None:
    used = damaged(shutil.copytree(tiny_run, tmp_path / "run"), damage, times)
    print(dict(used))
    assert used.total() == times
    assert used[240] > 0.8 * times  # all files are verified, except the two of Orbax beside the parts
