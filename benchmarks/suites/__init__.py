"""The suites of ``python -m benchmarks.run``: a file each, whose ``measure`` yields cases, figures and units."""

from collections.abc import Callable, Iterator

from benchmarks.measuring import Row
from benchmarks.suites import collection, overlap, physics, replay, scaling, startup, train, update

SUITES: dict[str, Callable[[bool], Iterator[Row]]] = {
    "physics": physics.measure,
    "replay": replay.measure,
    "update": update.measure,
    "train": train.measure,
    "collection": collection.measure,
    "overlap": overlap.measure,
    "startup": startup.measure,
    "scaling": scaling.measure,
}
