"""Axes of a state's arrays, declared beside its fields.

A field of a registered dataclass declares its axes as metadata::

    worlds: State = dataclasses.field(metadata={"axes": ("world",)})

``axes`` names the leading axes of every array in the field: ``world`` for one entry per world, which the devices share;
``time`` for one per kept step, which they do not; an empty tuple for arrays that all devices hold alike. With
``"seeds": "shared"`` a run of several seeds has the array once. Any other array gets a leading axis ``[num_seeds]`` there.

A dataclass that declares nothing has the axes of the field that it stands in. One that declares axes must do so for all of
its fields: a new field cannot be forgotten.
"""

import dataclasses
from typing import Any

NAMES = ("world", "time")


@dataclasses.dataclass(frozen=True)
class Axes:
    """The axes of the arrays in one field.

    Attributes:
      names: of the leading axes, without that of the seeds.
      per_seed: whether each seed of a run has arrays of its own.
    """

    names: tuple[str, ...] = ()
    per_seed: bool = True


def declared(where: str, names: tuple[str, ...], per_seed: bool = True) -> Axes:
    """The axes that somebody declares.

    Args:
      where: who declares them, for the error.
      names: as in `Axes`.
      per_seed: as in `Axes`.

    Raises:
      TypeError: an unknown axis. Without this check its arrays would be replicated.
    """
    if unknown := set(names) - set(NAMES):
        raise TypeError(f"{where} declares an unknown axis {min(unknown)!r}: choose from {', '.join(NAMES)}.")
    return Axes(names, per_seed)


def axes_of(tree: Any, inherited: Axes = Axes()) -> Any:
    """What a state declares: its structure, with an `Axes` in the place of each part that has one declaration.

    Args:
      tree: the state, arrays or their shapes.
      inherited: the axes of what declares nothing.

    Raises:
      TypeError: a field without a declaration beside others that have one, or around one, or an unknown axis.
    """
    if not dataclasses.is_dataclass(tree):
        return inherited
    if not _declares(tree):
        for field in dataclasses.fields(tree):
            if _declares(inner := getattr(tree, field.name)):
                raise TypeError(
                    f"{type(tree).__name__} declares nothing, and what {type(inner).__name__} in it declares would be lost: "
                    "declare the axes of its fields (train.axes)."
                )
        return inherited
    parts = {}
    for field in dataclasses.fields(tree):
        where = f"{type(tree).__name__}.{field.name}"
        if "axes" not in field.metadata:
            raise TypeError(f"{where} does not say which axes its arrays have: declare them beside the field (train.axes).")
        own = declared(where, field.metadata["axes"], inherited.per_seed and field.metadata.get("seeds") != "shared")
        parts[field.name] = axes_of(getattr(tree, field.name), own)
    kind: Any = type(tree)
    return kind(**parts)


def _declares(tree: Any) -> bool:
    """Whether this is a dataclass that declares axes."""
    return dataclasses.is_dataclass(tree) and any("axes" in field.metadata for field in dataclasses.fields(tree))
