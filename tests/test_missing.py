"""``--no-missing``: in CI no test is skipped for want of a package."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent

ELSEWHERE = {"cuda", "dev", "docs", "examples", "menagerie", "sb3"}
"""Extras that CI need not name.

No GPU is there, the Makefile adds dev and docs, and dev holds what the examples need. Only tests of the long form need
Menagerie's 180 MB, and PyTorch, which comes with sb3.
"""

IN_A_TEST = """
import pytest

def test_that_needs_a_package():
    pytest.importorskip("no_such_package", reason="it is an extra")

def test_that_needs_something_else():
    pytest.skip("no OpenGL here")
"""

IN_A_FILE = """
import pytest

pytest.importorskip("no_such_package")
"""


@pytest.mark.parametrize(
    ("option", "outcome"), [(None, ["3 skipped"]), ("--no-missing", ["1 failed", "1 skipped", "1 error"])]
)
def test_a_missing_package_skips_a_test_or_fails_it(
    option: str | None, outcome: list[str], request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    request.config.getoption("--no-missing")  # this suite knows the option
    (tmp_path / "pytest.ini").touch()  # so that this project's settings are not read
    (tmp_path / "test_in_a_test.py").write_text(IN_A_TEST)
    (tmp_path / "test_in_a_file.py").write_text(IN_A_FILE)
    command = [sys.executable, "-m", "pytest", "-p", "tests.missing", "--continue-on-collection-errors", str(tmp_path)]
    process = subprocess.run([*command, option] if option else command, capture_output=True, text=True)
    assert all(words in process.stdout.splitlines()[-1] for words in outcome), process.stdout
    assert (process.returncode != 0) == (option is not None)


def test_ci_installs_every_extra_and_skips_nothing_for_want_of_one() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    script = (ROOT / ".ci" / "run").read_text()
    [named] = re.findall(r"^export EXTRAS=(.*)$", script, re.MULTILINE)
    assert set(named.split(",")) == set(extras) - ELSEWHERE
    assert re.search(r"^make test PYTEST_ARGS=--no-missing$", script, re.MULTILINE)
