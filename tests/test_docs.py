"""What the documentation tells a reader to type works: its Python runs, its commands and flags exist."""

import contextlib
import importlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import tyro

from envs.command import COMMANDS
from train import run, sweep

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").rglob("*.md"))

FULL = 'config = dataclasses.replace(config, run_dir="runs/pendulum")'
TINY = """\
config = dataclasses.replace(
    config, run_dir="runs/pendulum", num_envs=4, batch_size=8, learning_starts=40, replay_size=400, log_steps=80,
    total_steps=160, eval_steps=80, checkpoint_steps=80, eval_episodes=2,
    agent_args=dataclasses.replace(config.agent_args, hidden=(16,)),
)"""
"""The run of the quickstart, and one of seconds in its place."""


def blocks(page: pathlib.Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """Every command in a block of shell on any page, with the page's name."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.search(r"\b(python|make|mjx-tecrl) .*", re.sub(r" +#.*", "", line))
                if found and "${" not in line:  # not those inside of a loop over machines
                    yield str(page.relative_to(ROOT)), " ".join(found[0].split())


def in_a_shell_of_its_own(args: list[str], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """A Python process in ``folder``, which is its home too."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_the_quickstart_runs(tmp_path: pathlib.Path) -> None:
    code = "\n".join(blocks(ROOT / "docs" / "quickstart.md", "python"))
    assert code.count(FULL) == 1
    ran = in_a_shell_of_its_own(["-c", code.replace(FULL, TINY)], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "Done: 160 steps" in ran.stdout
    assert "steps: mean return" in ran.stdout
    assert "after 160 steps of training" in ran.stdout
    assert "over 32 episodes" in ran.stdout


ON_REQUEST = (pytest.mark.slow, pytest.mark.long)


@pytest.mark.usefixtures("draws")
@pytest.mark.parametrize(
    ("package", "full", "tiny"),
    [
        ("gymnasium", "range(100)", "range(2)"),
        pytest.param("stable_baselines3", "60_000", "2048", marks=ON_REQUEST),
        pytest.param("brax", "300_000", "10_000", marks=ON_REQUEST),
    ],
)
def test_other_programs_run_as_their_page_says(package: str, full: str, tiny: str) -> None:
    pytest.importorskip(package)
    codes = [
        code
        for code in blocks(ROOT / "docs" / "clients.md", "python")
        if re.search(rf"^(from|import) {package}\b", code, re.M)
    ]
    assert [code.count(full) for code in codes] == [1]
    exec(codes[0].replace(full, tiny), {})


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_on_a_page_exists(page: str, command: str) -> None:
    words = shlex.split(command.replace("RUN_DIR", "runs/some"))
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert [word for word in words[1:] if "=" not in word and word not in targets] == []
        return
    if words[0] == "mjx-tecrl":
        words = ["python", "-m", COMMANDS[words[1]], *words[2:]]
    if words[1] != "-m":
        assert (ROOT / words[1]).is_file()
        return
    name, args = words[2], words[3:]
    if name in ("pytest", "pip", "venv"):
        return
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    with contextlib.suppress(SystemExit) if "--help" in args else contextlib.nullcontext():
        if name == "train.run":
            if "--resume" not in args:  # which asks for a run that is there
                run.parse([arg for arg in args if arg != "$RESUME"])
        elif name == "train.sweep":
            own, of_run = tyro.cli(sweep.Args, args=args, return_unknown_args=True)
            sweep.make_trials(own, of_run)
        else:
            tyro.cli(module.Args, args=args)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(page: str) -> None:
    """Those of the other pages are checked by ``make docs``."""
    text = re.sub(r"(`+).*?\1", "", (ROOT / page).read_text())
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def test_every_page_is_reached_from_the_index() -> None:
    """Sphinx asks for a place in a table of contents; a reader also for a link on the way of what he wants to do."""
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md", "contributing.md", "changelog.md"}
    assert {page for page in pages if f"({page}" not in index} == set()
