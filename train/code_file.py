"""What a run directory remembers of the code of a task or an agent that is in a file of one's own."""

import json
import pathlib

from envs.command import UserError, quoted, warn
from envs.own_code import as_own_code, digest, shown
from train.config import Config
from train.files import replace_file

CODE_FILE = "code.json"
"""In the run directory: the names of the run's task and agent that are in files of one's own, and the files' digests."""
CODE_BYTES = 2**16
"""Largest `CODE_FILE` that is read. It takes some hundred bytes."""


def own_names(config: Config) -> dict[str, str]:
    """The names in a config that stand for code of one's own, by their flag: ``env`` and ``agent``, or fewer."""
    names = {"env": config.env, "agent": config.agent}
    return {flag: name for flag, name in names.items() if as_own_code(name) is not None}


def naming(config: Config) -> str:
    """The flags that a command on the run needs, as text to follow it: those that name code of one's own."""
    return "".join(f" --{flag} {quoted(pathlib.Path(shown(name)))}" for flag, name in own_names(config).items())


def save_code(run_dir: pathlib.Path, config: Config) -> None:
    """Writes the digests of the code that this process runs for the config; no file if none is of one's own.

    Raises:
      UserError: they cannot be written; one sentence.
    """
    digests = {flag: {"name": name, "sha256": digest(name)} for flag, name in own_names(config).items()}
    if digests:
        try:
            replace_file(run_dir / CODE_FILE, json.dumps(digests, indent=2).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{run_dir / CODE_FILE} cannot be written: {error.strerror}.") from error


def warn_of_changed_code(run_dir: pathlib.Path, config: Config) -> None:
    """Warns of each file of one's own that says something else than when the run began, or last went on."""
    try:
        if (run_dir / CODE_FILE).stat().st_size > CODE_BYTES:
            return
        digests = json.loads((run_dir / CODE_FILE).read_bytes())
        for flag, name in own_names(config).items():
            if digests[flag]["sha256"] != digest(name):
                warn(f"{shown(name)} has changed since {run_dir} was trained with it.")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # an older run, or a damaged file: there is nothing to compare with
