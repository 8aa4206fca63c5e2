"""Compiled programs are kept between processes, so that the second start is fast."""

import pathlib

import jax


def use_compilation_cache(folder: str | None) -> None:
    """Keeps compiled programs in ``folder``; None for no cache."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(folder).expanduser()))
