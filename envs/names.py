"""Suggestions for a name that does not exist."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Lists the ``names`` most similar to ``name``, or all of them if none is similar, separated by commas."""
    names = list(names)
    return ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names))
