"""Makes one step in a process of its own: ``python -m benchmarks.accelerator.child REQUEST``.

The request is JSON: the function (``module:name``), its keyword arguments, and the file that the answer goes to. The answer
is JSON too: what the function returned (``figures``), or what it says instead (``error``). A process that crashes leaves no
answer.
"""

import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import traceback

from train.files import replace_file


def main(request: str) -> None:
    """Calls the function, and writes the answer."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    asked = json.loads(request)
    module, _, name = asked["function"].partition(":")
    try:
        answer = {"figures": getattr(importlib.import_module(module), name)(**asked["options"])}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": _in_one_line(error)}
    replace_file(pathlib.Path(asked["answer"]), json.dumps(answer, default=str).encode())


def _in_one_line(error: Exception) -> str:
    from envs.command import UserError, first_line  # imports JAX, which not every step needs

    text = first_line(error, 300)
    return text if isinstance(error, UserError) or text == type(error).__name__ else f"{type(error).__name__}: {text}"


def _end_with_the_parent() -> None:
    """Asks this process, and those that it started, to stop as soon as the parent is gone: standard input ends then."""
    while os.read(0, 1):  # `sys.stdin` has a lock, which a thread must not hold when Python ends
        pass
    os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
