"""Which packages belong to this project, and what hides one of them. The others call it before they import each other."""

import importlib.util
import os

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def check_packages(*names: str) -> None:
    """Checks that these top-level names are packages of this project, without importing them.

    A script's own folder comes first on Python's path. So a file ``train.py`` in it hides the package ``train``.

    Raises:
      ImportError: a name is something else; the message says which file hides it.
    """
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ImportError(f"mjx-tecrl's package {name} is not there: install mjx-tecrl again.")
        # A folder without __init__.py has no origin.
        found = spec.origin or next(iter(spec.submodule_search_locations or ()), name)
        if os.path.realpath(os.path.dirname(found)) != os.path.realpath(os.path.join(_ROOT, name)):
            raise ImportError(
                f"{found} hides mjx-tecrl's package {name}: rename it, move the script to another folder, or use the "
                "command mjx-tecrl, from which nothing hides it."
            )
