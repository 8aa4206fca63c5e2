"""What to answer to a name that does not exist."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """The names most like ``name``, or all of them where none is, as one text."""
    names = list(names)
    return ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names))
