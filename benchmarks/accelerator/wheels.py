"""Which of the packages that this project needs are not installed here."""

import importlib.metadata
import pathlib
import tomllib
from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from envs.command import UserError
from envs.names import nearest

ROOT = pathlib.Path(__file__).parents[2]


def missing_wheels(
    extras: Iterable[str], installed: Mapping[str, str] | None = None, root: pathlib.Path = ROOT
) -> list[str]:
    """What pyproject.toml asks for, and what that asks for, and is not installed here: as ``name==version`` where
    constraints.txt pins it.

    What a missing package needs itself is not known here: ``pip download`` finds it.

    Args:
      extras: of this project, beside its dependencies.
      installed: version of each installed package, by canonical name; default: those of this environment.
      root: folder of the two files.

    Raises:
      UserError: there is no such extra; one sentence.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    for extra in extras:
        if extra not in optional:
            raise UserError(f"unknown extra {extra!r}; did you mean {nearest(extra, optional)}?")
    if installed is None:
        installed = {canonicalize_name(dist.name): dist.version for dist in importlib.metadata.distributions()}
    asked = [*project["dependencies"], *(text for extra in extras for text in optional[extra])]
    pins, seen, missing = _pins(root / "constraints.txt"), set(), {}
    open_ = [(Requirement(text), "") for text in asked]
    while open_:
        requirement, extra = open_.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in installed or not requirement.specifier.contains(installed[name], prereleases=True):
            with_extras = f"{name}[{','.join(sorted(requirement.extras))}]" if requirement.extras else name
            missing[name] = f"{with_extras}{pins.get(name, requirement.specifier)}"
            continue
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                open_ += [(Requirement(text), wanted) for text in importlib.metadata.requires(name) or ()]
    return sorted(missing.values())


def _pins(path: pathlib.Path) -> dict[str, SpecifierSet]:
    """The pins that hold for this Python, by canonical name."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    pins = (Requirement(line) for line in lines if line)
    return {canonicalize_name(pin.name): pin.specifier for pin in pins if not pin.marker or pin.marker.evaluate()}
