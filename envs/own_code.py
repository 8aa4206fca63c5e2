"""What a name of a task or an agent means that is not one of this project's.

``my_robot.py:Lift`` is the object ``Lift`` of a file, and ``my_package.tasks:Lift`` that of a module. Whoever asks for such
a name runs the code. An installed package can also give its objects short names, by entry points in one of `GROUPS`.

A name that comes from a run directory is passed to `confirmed` first: nobody's code runs because a file names it.
"""

import dataclasses
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import pathlib
import sys
import traceback
import types
from typing import Any

from envs.command import UserError, expanded, first_line

GROUPS = {"env": "mjx_tecrl.tasks", "agent": "mjx_tecrl.agents"}
"""The groups of entry points by which a package brings tasks and agents, by the flag that takes their names."""


@dataclasses.dataclass(frozen=True)
class OwnCode:
    """A name that says where code lies.

    Attributes:
      place: a file that ends in ``.py``, or the dotted name of a module.
      name: of an object in it.
    """

    place: str
    name: str

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"

    @property
    def path(self) -> pathlib.Path | None:
        """The absolute path of the file; None if `place` is a module."""
        return pathlib.Path(os.path.abspath(expanded(self.place))) if self.place.endswith(".py") else None

    def load(self) -> Any:
        """Runs the code, unless this process has done so already, and returns the object.

        Raises:
          ValueError: there is no such file, module or object, or the code fails; the message says in which line.
        """
        module = _load_module(self.place) if self.path is None else _load_file(self.path)
        if not hasattr(module, self.name):
            raise ValueError(f"{self.place} defines no {self.name}")
        return getattr(module, self.name)


def as_own_code(name: str) -> OwnCode | None:
    """What a name says of where code lies; None for a name that says nothing of it, such as ``hopper``.

    Raises:
      ValueError: it names a file, but no object in it.
    """
    place, colon, rest = name.rpartition(":")
    if place and rest.isidentifier():
        return OwnCode(place, rest)
    if colon or name.endswith(".py"):
        raise ValueError(f"{name!r} must name an object too: FILE.py:NAME or MODULE:NAME, such as my_robot.py:Lift")
    return None


def located(name: str) -> str:
    """A name, independent of the working directory: the path of a file becomes absolute."""
    code = as_own_code(name)
    return name if code is None or code.path is None else f"{code.path}:{code.name}"


def shown(name: str) -> str:
    """A name as short as it can be typed in the present working directory."""
    path = pathlib.Path(name)
    return str(path.relative_to(pathlib.Path.cwd())) if path.is_relative_to(pathlib.Path.cwd()) else name


def label(name: str) -> str:
    """A name without the place of its code, for a line to read or a directory's name."""
    code = as_own_code(name)
    return name if code is None else code.name


def confirmed(flag: str, saved: str, given: str | None, source: str) -> str:
    """The name to use in place of one that a run directory holds.

    Code of one's own is used only if the command that reads the directory names it as well. It may lie in another place now.

    Args:
      flag: ``env`` or ``agent``.
      saved: the name in the run directory.
      given: the name on the command line; None if it has none.
      source: where ``saved`` comes from, for the error's sentence.

    Raises:
      UserError: ``saved`` is code that was not named, or ``given`` is something else.
    """
    if given is not None and label(given) != label(saved):
        raise UserError(f"{source} has the {flag} {saved!r}: --{flag} {given} is another.")
    if as_own_code(saved) is None:
        if given is not None and as_own_code(given) is not None:
            raise UserError(f"{source} has the {flag} {saved!r}, which is not in a file: leave out --{flag} {given}.")
        return saved
    if given is None:
        raise UserError(
            f"{source} has the {flag} {saved!r}, and code that a run names is run only if you name it too: if you trust it, "
            f"add --{flag} {shown(saved)}."
        )
    return located(given)


def installed(flag: str) -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of installed packages in the group for ``flag`` (``env`` or ``agent``), by name. Nothing is run."""
    return {point.name: point for point in _entry_points(GROUPS[flag])}


@functools.cache
def _entry_points(group: str) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=group)


def load_installed(flag: str, name: str) -> Any:
    """The object of the entry point ``name``; None if no installed package has one.

    Raises:
      ValueError: the package's code fails.
    """
    point = installed(flag).get(name)
    if point is None:
        return None
    try:
        return point.load()
    except Exception as error:
        raise ValueError(f"{name} is {point.value} of an installed package, which fails: {_reason(error)}") from error


def digest(name: str) -> str:
    """The digest of the file whose code this process ran for a name; empty for a name that is not of one's own code."""
    code = as_own_code(name)
    if code is None:
        return ""
    module = sys.modules[str(code.path or code.place)]
    loader = getattr(module, "__loader__", None)
    if isinstance(loader, _Loader):
        return loader.sha256
    return file_digest(getattr(module, "__file__", None) or "")


def file_digest(path: str | pathlib.Path) -> str:
    """The SHA-256 digest of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a file and notes the digest of what is run. It neither reads nor writes a cache of compiled code.

    Attributes:
      sha256: the digest.
    """

    sha256 = ""

    def path_stats(self, path: Any) -> Any:
        raise OSError("no cache")

    def get_data(self, path: Any) -> bytes:
        data = super().get_data(path)
        self.sha256 = hashlib.sha256(data).hexdigest()
        return data


def _load_file(path: pathlib.Path) -> types.ModuleType:
    """Runs a file as a module whose name is its path, so that it can hide no other module, whatever it is called.

    A file that was edited since this process ran it is run again.
    """
    name = str(path)
    known = sys.modules.get(name)
    if known is not None and isinstance(known.__loader__, _Loader) and known.__loader__.sha256 == file_digest(path):
        return known
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    _add_to_path(path.parent)
    loader = _Loader(name, name)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(f"{path} fails{_line(error, name)}: {_reason(error)}") from error
    return module


def _load_module(name: str) -> types.ModuleType:
    _add_to_path(pathlib.Path.cwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise ValueError(f"there is no module {error.name}, neither installed nor in this folder") from error
        raise ValueError(f"{name} fails: {_reason(error)}") from error


def _add_to_path(folder: pathlib.Path) -> None:
    """Lets modules that lie beside one's own code be imported. The folder comes last, so that it hides nothing."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _line(error: BaseException, path: str) -> str:
    """Where in the file it fails, in words."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f" in line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" in line {lines[-1]}" if lines else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it ends the program, which belongs below: if __name__ == '__main__'"
    return f"{type(error).__name__}: {first_line(error)}"
