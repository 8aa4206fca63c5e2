"""Which room may import which: arrows point one way."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = {"mjx_tecrl", "envs", "train", "eval", "benchmarks", "tests"}

FORBIDDEN = {
    "mjx_tecrl": ROOMS - {"mjx_tecrl"} | {"mujoco", "gymnasium", "brax", "argparse", "tyro", "pathlib", "orbax"},
    "envs": ROOMS - {"envs"} | {"flax", "optax", "orbax", "argparse", "tyro"},
    "train": {"eval", "benchmarks", "tests"},
    "eval": {"benchmarks", "tests"},
}

COMMANDS = {"envs/command.py": {"tyro"}, "envs/list.py": {"tyro"}, "envs/view.py": {"tyro"}}
"""Files of `envs` that are command lines themselves."""


def imports(path: pathlib.Path) -> set[str]:
    """Top-level names of all modules that a file imports, also inside its functions."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = package[: len(package) - node.level + 1]
                assert above, f"{path}: a relative import that leaves its package"
                names.add(above[0])
            else:
                names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_imports_point_one_way(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    names = {str(path.relative_to(ROOT)): imports(path) & FORBIDDEN[room] for path in files}
    wrong = {path: sorted(found - COMMANDS.get(path, set())) for path, found in names.items()}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_the_parser_sees_every_kind_of_import(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "envs" / "tasks" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import os.path as p, jax\nfrom train.run import main\ndef f():\n    from .. import b\n    import eval\n"
    )
    assert imports(path) == {"os", "jax", "train", "envs", "eval"}


def test_importing_the_learning_library_loads_no_physics_and_starts_no_backend() -> None:
    # An import that already computes something would start JAX before a program can choose its platform.
    program = (
        "import sys, mjx_tecrl; from jax._src import xla_bridge; "
        "assert not xla_bridge.backends_are_initialized(), 'a backend was started'; "
        "assert not {'mujoco', 'gymnasium', 'envs', 'train', 'eval'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
