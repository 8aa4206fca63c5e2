"""Compiled programs are kept between processes, so that the second start is fast."""

import pathlib

import jax

from envs.command import warn


def use_compilation_cache(folder: str | None) -> None:
    """Keeps compiled programs in ``folder``; None for no cache. A folder that cannot be used costs one warning."""
    if folder is None:
        return
    try:
        path = pathlib.Path(folder).expanduser()
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # an account without HOME and without an entry in passwd is a RuntimeError
        warn(f"compiled programs are not kept in {folder}, so every start compiles anew: {error}")
    else:
        jax.config.update("jax_compilation_cache_dir", str(path))
