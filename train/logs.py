"""What a run writes down: one JSON object per logging interval, TensorBoard, and Weights & Biases on request."""

import json
import math
import pathlib
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter

METRICS_FILE = "metrics.jsonl"


def flatten(metrics: dict[str, Any]) -> dict[str, float | int | None]:
    """Plain numbers under flat keys: vectors become ``key/0``, ``key/1``, ...; what was not measured (NaN) becomes None."""
    flat: dict[str, float | int | None] = {}
    for name, value in metrics.items():
        array = np.asarray(value)
        for index, number in enumerate(array.ravel().tolist()):
            key = f"{name}/{index}" if array.ndim else name
            flat[key] = None if isinstance(number, float) and not math.isfinite(number) else number
    return flat


class Logs:
    """Writes a run's metrics into its run directory.

    Args:
      run_dir: the run directory.
      env_steps: where the run stands: lines beyond it, left over from work that was lost, are dropped.
      wandb_config: start a Weights & Biases run with this config; None for none.
    """

    def __init__(self, run_dir: pathlib.Path, env_steps: int, wandb_config: dict[str, Any] | None = None):
        self._path = run_dir / METRICS_FILE
        lines = [line for line in read_lines(self._path) if line["env_steps"] <= env_steps]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self._file = self._path.open("a")
        self._tensorboard = SummaryWriter(str(run_dir), purge_step=env_steps + 1 if env_steps else None)
        self._wandb: Any = None
        if wandb_config is not None:
            import wandb

            self._wandb = wandb.init(project="mjx-tecrl", dir=str(run_dir), config=wandb_config)
        self.last = lines[-1] if lines else {}

    def write(self, metrics: dict[str, Any]) -> dict[str, float | int | None]:
        """Writes one line; ``metrics`` holds ``env_steps``. Returns it flattened."""
        self.last = flatten(metrics)
        # One write of a whole line: a reader never sees half of one.
        self._file.write(json.dumps(self.last) + "\n")
        self._file.flush()
        step = self.last["env_steps"]
        numbers = {name: value for name, value in self.last.items() if value is not None}
        for name, value in numbers.items():
            self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)
        return self.last

    def close(self) -> None:
        """Flushes and closes everything."""
        self._file.close()
        self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file; a last line cut short by a crash is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
