"""Run directories from strangers: whatever their files say, either the run can be read, or one sentence says why not.

``python -m pytest -m long tests/reliability/test_strangers.py`` is the long form.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from envs.command import UserError
from tests.runs import leaves, restore_state, seal, tiny_config
from train.checkpoints import MANIFEST_FILE, Checkpoints
from train.config import CONFIG_FILE, Config, load_config
from train.program import Program
from train.record import Record
from train.resume import restore_run

NASTY: list[Any] = [
    None, True, -1, 0, 10**30, 1e308, -1e-320, float("nan"), float("inf"), "", "x" * 10_000, "../../../../etc/passwd",
    "/dev/zero", "__import__('os').abort()", "\udc80", "\0", [], {}, [[[[]]]], {"": None}, ["a", 1], {"__reduce__": []},
]  # fmt: skip


def mutate(value: Any, rng: random.Random) -> Any:
    """JSON with one change somewhere: a value is replaced by something nasty, removed, or repeated."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key, out = rng.choice(sorted(value)), dict(value)
        action = rng.random()
        if action < 0.1:
            del out[key]
        elif action < 0.2:
            out[rng.choice(["x", "", "__class__", "../x"])] = rng.choice(NASTY)
        else:
            out[key] = mutate(value[key], rng)
        return out
    if isinstance(value, list) and value and rng.random() < 0.7:
        index = rng.randrange(len(value))
        return [*value[:index], mutate(value[index], rng), *value[index + (rng.random() < 0.8) :]]
    if isinstance(value, int) and rng.random() < 0.3:
        return value + rng.choice([-1, 1, 2**31, 2**63, -(2**40)])
    return rng.choice(NASTY)


def garble(text: str, rng: random.Random) -> bytes:
    """The bytes of a text, some of them changed."""
    data = bytearray(text.encode(errors="surrogatepass"))
    for _ in range(rng.randint(1, 5)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data) if rng.random() < 0.8 else bytes(data[: rng.randrange(len(data))])


LONG = pytest.mark.long


@pytest.mark.parametrize("times", [150, pytest.param(1000, marks=LONG)])
def test_configs(tmp_path: pathlib.Path, times: int) -> None:
    tiny_config().save(tmp_path)
    path = tmp_path / CONFIG_FILE
    good, rng, read = json.loads(path.read_text()), random.Random(0), 0
    for number in range(times):
        if number % 4:
            path.write_text(json.dumps(mutate(good, rng)))
        else:
            path.write_bytes(garble(json.dumps(good), rng))
        try:
            config = load_config(tmp_path).validate()
        except UserError:
            continue
        assert config.compilation_cache == Config.compilation_cache
        read += 1
    assert 0 < read < times / 2


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"env": ' * 50_000, "9" * 5000, '"' + "x" * 2**21 + '"', "", "null", "[]", "{}"]
)
def test_json_that_is_meant_to_hurt(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(UserError):
        load_config(tmp_path)


@pytest.mark.parametrize("times", [60, pytest.param(1000, marks=LONG)])
def test_manifests(tiny_run: pathlib.Path, tmp_path: pathlib.Path, times: int) -> None:
    """The checksums are right, as somebody with bad intentions would make them."""
    like = Program(tiny_config()).state_shapes()
    run_dir = shutil.copytree(tiny_run, tmp_path / "run")
    checkpoints = Checkpoints(run_dir)
    for step in checkpoints.steps[:-1]:
        shutil.rmtree(run_dir / "checkpoints" / str(step))
    written = leaves(restore_state(checkpoints, like)[1])
    path = run_dir / "checkpoints" / "320" / MANIFEST_FILE
    good, rng = json.loads(json.loads(path.read_text())["manifest"]), random.Random(0)
    for number in range(times):
        if number % 4:
            path.write_text(seal(mutate(good, rng)))
        else:
            path.write_bytes(garble(json.dumps({"manifest": json.dumps(good), "crc32": 0}), rng))
        try:
            _, state, _ = restore_state(checkpoints, like)
        except UserError:
            continue
        for x, y in zip(leaves(state), written, strict=True):
            np.testing.assert_array_equal(x, y)


def test_progress_that_makes_no_sense_is_one_sentence(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run_dir = shutil.copytree(tiny_run, tmp_path / "run")
    for step in (80, 240):
        shutil.rmtree(run_dir / "checkpoints" / str(step))
    path = run_dir / "checkpoints" / "320" / MANIFEST_FILE
    manifest = json.loads(json.loads(path.read_text())["manifest"])
    manifest["notes"]["progress"] = {"chunks": "many"}
    path.write_text(seal(manifest))
    program = Program(tiny_config(run_dir))
    record = Record(program.config, program.training.chunk_steps, program.training.worlds.pool_size)
    with pytest.raises(UserError, match="tells no progress"):
        restore_run(program, [record], Console(quiet=True))


READ = """
import pathlib, pickle, sys

def refuse(*_, **__):
    raise SystemExit("something was unpickled")

pickle.load = pickle.loads = pickle.Unpickler = refuse
from eval.restore import restore
print(restore(pathlib.Path(sys.argv[1])).step)
"""


def test_nothing_is_unpickled(tiny_run: pathlib.Path) -> None:
    done = subprocess.run([sys.executable, "-c", READ, str(tiny_run)], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "320", done.stderr


def test_the_sources_neither_unpickle_nor_evaluate() -> None:
    root = pathlib.Path(__file__).parents[2]
    forbidden: list[Callable[[str], bool]] = [
        lambda line: "pickle" in line and "import" in line,
        lambda line: "allow_pickle=True" in line,
        lambda line: " eval(" in line or " exec(" in line,
    ]
    for folder in ("mjx_tecrl", "envs", "train", "eval"):
        for path in (root / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                assert not any(test(line) for test in forbidden), f"{path}: {line}"
