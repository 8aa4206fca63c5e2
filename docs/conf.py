"""Sphinx's settings for the documentation: ``make docs`` builds it into ``docs/_build/html``."""

import pathlib
import sys

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from mjx_tecrl import __version__  # noqa: E402

project = "mjx-tecrl"
author = "The mjx-tecrl authors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_static", "extra", "results"]

highlight_language = "none"  # a block that names no language is a drawing or an equation

html_theme = "furo"
html_title = f"mjx-tecrl {version}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_extra_path = ["extra"]  # copied as it is

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3  # so that [text](page.md#a-heading) works, as on the pages of a repository

# Only the command is copied, not the prompt before it.
copybutton_prompt_text = "$ "

# Single backticks in a docstring name something that exists. `make docs` makes an error of a name that nothing has.
default_role = "any"

suppress_warnings = ["ref.python"]  # tyro's marks on a flag carry short names, such as "agent", that several things have
autodoc_default_options = {"ignore-module-all": True}  # a thing is described where it is defined, and nowhere else
autodoc_member_order = "bysource"
autodoc_mock_imports = ["brax", "ray", "stable_baselines3"]  # extras that the documentation can do without

# The signatures name types of others, whose documentation is not at hand.
OTHERS = "jax|jaxlib|numpy|flax|optax|orbax|mujoco|gymnasium|brax|ray|stable_baselines3|rich|tyro|matplotlib|"
OTHERS += "pathlib|collections|concurrent|importlib|types"
nitpick_ignore_regex = [
    (r"any|py:.*", rf"({OTHERS})\..*"),
    # The same, by their short names.
    (r"py:.*", r"Array|ArrayLike|DTypeLikeFloat|NamedSharding|P|RealArray|ResetNeeded|Shape|signal\.Signals"),
    (r"py:.*", r"FlagCreatePairsOff|randomize|Positional|UseAppendAction|([\w.]+\.)?Annotated"),  # tyro's marks on a flag
]


def write_api_pages(app: Sphinx) -> None:
    """Writes a page for each module.

    The extension apidoc would name the pages as their modules, and the role "any" could not tell the two apart.
    """
    pages = {}
    for package in ("mjx_tecrl", "envs", "train", "eval"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            page = app.srcdir / "api" / package / f"module-{module.replace('.', '-')}.rst"
            pages[page] = f"{module}\n{'=' * len(module)}\n\n.. automodule:: {module}\n   :members:\n"
    for page in app.srcdir.glob("api/*/*"):
        if page not in pages:
            page.unlink()
    for page, text in pages.items():
        page.parent.mkdir(exist_ok=True)
        if not page.exists() or page.read_text() != text:  # what has not changed is not read again
            page.write_text(text)


def read_google_style(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """What the extension napoleon does, but for attributes: of these it would take what stands before a colon for a type."""
    if what not in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(lines, Config(), None, what, name, obj).lines()


def skip_tuple_fields(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """The class's docstring describes the fields of a named tuple; their own docstrings only number them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> None:
    """Connects the functions above."""
    app.connect("builder-inited", write_api_pages)
    app.connect("autodoc-process-docstring", read_google_style)
    app.connect("autodoc-skip-member", skip_tuple_fields)
