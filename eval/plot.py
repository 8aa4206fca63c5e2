"""``python -m eval.plot RUN_DIR ... --out curve.png``: plots learning curves, and the metrics that explain them."""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib
import tyro

from envs.command import UserError, run_command, warn
from train.logs import METRICS_FILE, read_log

PANELS = {
    "return (deterministic policy)": ("eval/return_mean",),
    "reward critic: value, spread": ("agent/q_mean", "agent/q_std"),
    "policy entropy (nats)": ("agent/entropy",),
    "surplus of entropy over its target (nats)": ("agent/budget_gap",),
    "log temperature": ("agent/log_alpha",),
    "TD error": ("agent/td_error",),
}
"""The metrics that each panel shows, by its title."""

MARKED = 50
"""A curve of fewer points than this shows each of them."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Plot the metrics of one or more runs."""

    run_dirs: tyro.conf.Positional[tuple[pathlib.Path, ...]]
    """run directories, or metrics.jsonl files"""
    out: pathlib.Path = pathlib.Path("curve.png")
    """picture to write (.png, .svg or .pdf)"""
    only_return: bool = False
    """draw only the learning curve"""


def plot(args: Args) -> None:
    """Reads the metrics, draws them, and writes the picture."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    runs = {}
    for name, path in _named(args.run_dirs):
        name = str(path) if name in runs else name
        log = read_log(path)
        runs[name] = lines = [line for _, line in log.intact]
        if log.damaged:
            warn(f"{log.describe_damage(path)}: left out.")
        if not lines:
            raise UserError(f"{path} holds no metrics.")
    if not runs:
        raise UserError("Name at least one run directory.")
    panels = dict(list(PANELS.items())[:1]) if args.only_return else PANELS
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(5.5 * columns, 3.6 * rows), squeeze=False, layout="constrained")
    for axis, (title, names) in zip(axes.flat, panels.items(), strict=False):
        for number, lines in enumerate(runs.values()):
            for name, style in zip(names, ("-", ":"), strict=False):
                points = [(line["env_steps"], line[name]) for line in lines if line.get(name) is not None]
                if points:
                    # A marker shows a single point too, where there is no line yet.
                    marker = "." if len(points) < MARKED else ""
                    axis.plot(*zip(*points, strict=True), style, marker=marker, color=f"C{number}", label=str(number))
        axis.set(title=title, xlabel="environment steps")
        axis.grid(alpha=0.3)
    _write_legend(axes[0, 0], list(runs))
    write_figure(figure, args.out, dpi=120)


def _write_legend(axis: Any, runs: list[str]) -> None:
    """Writes the names of the runs, whose lines have their numbers as labels.

    As labels the names would not stay as they are: matplotlib leaves out one that begins with ``_``, and typesets what is
    between ``$`` as a formula.
    """
    if axis.lines:
        for text in axis.legend().get_texts():
            text.set(text=runs[int(text.get_text())], parse_math=False)


def _named(run_dirs: tuple[pathlib.Path, ...]) -> Iterator[tuple[str, pathlib.Path]]:
    """The metrics files that ``run_dirs`` name, each with a name. A run of several seeds has one file per seed."""
    for run_dir in run_dirs:
        if not run_dir.exists():
            raise UserError(f"There is no {run_dir}.")
        if not run_dir.is_dir():
            yield run_dir.stem, run_dir
            continue
        seeds = sorted(run_dir.glob(f"seed-*/{METRICS_FILE}"), key=lambda path: (len(path.parent.name), path.parent.name))
        yield from ((f"{run_dir.name}/{path.parent.name}", path) for path in seeds)
        if not seeds:
            yield run_dir.name, run_dir / METRICS_FILE


def write_figure(figure: Any, out: pathlib.Path, dpi: int) -> None:
    """Writes a figure, says so, and closes it.

    Args:
      figure: a figure of pyplot's.
      out: file to write; its suffix decides the format.
      dpi: pixels per inch.

    Raises:
      UserError: the file cannot be written, or its format is unknown; one sentence.
    """
    from matplotlib import pyplot

    try:
        figure.savefig(out, dpi=dpi)
    except (OSError, ValueError) as error:
        raise UserError(f"{out} cannot be written: {error}.") from error
    finally:
        pyplot.close(figure)
    print(f"wrote {out}")


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, plot, "python -m eval.plot", args)


if __name__ == "__main__":
    sys.exit(main())
