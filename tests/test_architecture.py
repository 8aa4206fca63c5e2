"""Which room may import which, and that no files import each other in a circle: arrows point one way."""

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
"""Files of `envs` that are command lines, or that read one."""


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


def files_imported(path: pathlib.Path) -> set[pathlib.Path]:
    """Files of our rooms that a file needs in order to be imported itself.

    Imports inside functions do not count: they run later. Neither do imports for the type checker alone, which never run.
    A name imported from a package (``from envs import State``) counts as an import of the package's ``__init__.py``, unless
    the name is a module of the package.
    """
    package, files = path.relative_to(ROOT).parent.parts, set()

    def visit(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    files.add(_file(alias.name.split(".")))
            elif isinstance(node, ast.ImportFrom):
                above = list(package[: len(package) - node.level + 1]) if node.level else []
                module = above + (node.module.split(".") if node.module else [])
                for alias in node.names:
                    files.add(_file([*module, alias.name]) or _file(module))
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                    visit(node.orelse)
                    continue
                for part in ("body", "orelse", "finalbody"):
                    visit(getattr(node, part, []))
                for handler in getattr(node, "handlers", []):
                    visit(handler.body)

    visit(ast.parse(path.read_text(encoding="utf-8"), str(path)).body)
    return {file for file in files if file is not None} - {path}


def _file(module: list[str]) -> pathlib.Path | None:
    """The file of a module of ours, or None."""
    if module[0] not in ROOMS:
        return None
    place = ROOT.joinpath(*module)
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def circles() -> list[list[str]]:
    """Circles of files that import each other, each once."""
    files = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    imported = {path: sorted(files_imported(path)) for path in files}
    found: list[list[str]] = []
    done: set[pathlib.Path] = set()

    def follow(path: pathlib.Path, way: list[pathlib.Path]) -> None:
        if path in way:
            found.append([str(file.relative_to(ROOT)) for file in [*way[way.index(path) :], path]])
        elif path not in done:
            for other in imported.get(path, []):
                follow(other, [*way, path])
            done.add(path)

    for path in files:
        follow(path, [])
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles() == []


def test_a_circle_is_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    texts = {
        "envs/__init__.py": "from envs.a import x\nimport jax\n",
        "envs/a.py": "try:\n    from envs import b\nexcept ImportError:\n    pass\n",
        "envs/b.py": "def f():\n    from envs import a\n",
        "train/c.py": "import envs\nfrom . import d\n",
        "train/d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import train.c\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert files_imported(tmp_path / "train" / "c.py") == {tmp_path / "envs" / "__init__.py", tmp_path / "train" / "d.py"}
    assert circles() == []
    (tmp_path / "envs" / "b.py").write_text("import os\nimport envs.a\n")
    assert circles() == [["envs/a.py", "envs/b.py", "envs/a.py"]]


def needed(files: set[pathlib.Path]) -> set[pathlib.Path]:
    """The files of our rooms that are imported when these are, directly or not; these included."""
    found, new = set(files), set(files)
    while new:
        new = set().union(*map(files_imported, new)) - found
        found |= new
    return found


DOWNWARDS = (
    "config",
    "problem",
    "state",
    "collect",
    "iteration",
    "off_policy",
    "on_policy",
    "training",
    "program",
    "record",
    "resume",
    "loop",
    "run",
)
"""The files of `train` that a run passes, in the order in which they are read."""

TRAINING = (
    "state",
    "axes",
    "collect",
    "iteration",
    "off_policy",
    "on_policy",
    "training",
    "program",
    "mesh",
    "seeds",
    "loop",
)


def test_training_reads_downwards() -> None:
    for number, name in enumerate(DOWNWARDS):
        below = {ROOT / "train" / f"{later}.py" for later in DOWNWARDS[number + 1 :]}
        path = ROOT / "train" / f"{name}.py"
        assert path.is_file()
        assert not needed({path}) & below, name


def test_acting_needs_nothing_of_training() -> None:
    files = needed(set((ROOT / "eval").glob("*.py")))
    assert ROOT / "train" / "problem.py" in files
    assert not files & {ROOT / "train" / f"{name}.py" for name in TRAINING}


def test_importing_the_learning_library_loads_no_physics_and_starts_no_backend() -> None:
    # An import that already computes something would start JAX before a program can choose its platform.
    program = (
        "import sys, mjx_tecrl; from jax._src import xla_bridge; "
        "assert not xla_bridge.backends_are_initialized(), 'a backend was started'; "
        "assert not {'mujoco', 'gymnasium', 'envs', 'train', 'eval'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
