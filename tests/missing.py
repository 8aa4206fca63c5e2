"""What becomes of a test whose package is not installed: it is skipped, or fails under ``--no-missing``, as in CI."""

from typing import Any

import pytest

_import_or_skip = pytest.importorskip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declares the option."""
    parser.addoption("--no-missing", action="store_true", help="fail where a test needs a package that is not installed")


def pytest_configure(config: pytest.Config) -> None:
    """Applies the option to every test that asks for a package by `pytest.importorskip`."""
    if config.getoption("--no-missing"):
        pytest.importorskip = import_or_fail


def import_or_fail(name: str, *args: Any, **kwargs: Any) -> Any:
    """Imports a module as `pytest.importorskip` does, and fails where that would skip."""
    try:
        return _import_or_skip(name, *args, **kwargs)
    except pytest.skip.Exception as missing:
        pytest.fail(f"--no-missing: {missing}")
