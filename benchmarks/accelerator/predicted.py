"""What `benchmarks.gpu_program` predicted, beside what was measured."""

from collections.abc import Iterator
from typing import Any

from benchmarks.choices import chosen


def compared(predicted: dict[str, dict[str, Any]], measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each measurement of a program that was counted: a gradient step, a step of all worlds, or an iteration.

    The floor is the largest of those that launches, arithmetic and memory give. Runs of several seeds are left out: they are
    another program.

    Args:
      predicted: sections of the file that ``benchmarks.gpu_program --json`` wrote.
      measured: rows of the steps.
    """
    return [row for section in predicted.values() for row in _of_section(section, measured)]


def _of_section(section: dict[str, Any], measured: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    arguments, [counted] = section["arguments"], section["rows"]
    program, task, agent = (counted[name] for name in ("program", "task", "agent"))
    named = ("num_envs", "updates_per_step")
    config = chosen(arguments["preset"], task, agent, **{name: arguments[name] for name in named if arguments[name]})
    batch = arguments["batch_size"] or config.batch_size
    updates, _ = config.update_schedule
    delay = getattr(config.agent_args, "delay", 1)
    physics = {"task": task, "engine": arguments["physics"], "num_envs": config.num_envs}
    learning = {"task": task, "agent": agent, "batch_size": batch}
    precision = {"precision": arguments["matmul_precision"] or "float32"}
    # The figure of a step, how often it is in a turn of the program's own loop, and what else the two have in common.
    time, per_turn, alike = {
        "update": ("ms_per_update", 1, learning | precision),
        "updates": ("ms_per_update", delay if updates % delay == 0 else 1, learning | precision),
        "physics": ("ms_per_vector_step", 1, physics),
        "iteration": ("ms_per_iteration", 1, physics | learning | {"num_seeds": 1}),
    }.get(program, ("", 1, {}))
    for row in measured:
        figures = row.get("figures") or {}
        if figures.get(time) is None or any(figures.get(name) != value for name, value in alike.items()):
            continue
        floor, taken = max(counted["floor_ms"].values()), figures[time] * per_turn
        yield {
            "program": f"{program}, {agent} on {task}, {arguments['card']}",
            "step": row["step"],
            "nodes": counted["nodes"],
            "floor_ms": floor,
            "measured_ms": taken,
            "ratio": taken / floor,
            "us_per_node": 1e3 * taken / counted["nodes"],
        }
