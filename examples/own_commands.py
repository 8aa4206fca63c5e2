"""The project's commands for a task and an agent of one's own, which a plain ``python -m eval.run`` would not know.

Run it with ``python examples/own_commands.py train --env lift --agent distributional_td3 --run-dir runs/lift``, then with
``score runs/lift`` and ``film runs/lift --out lift.mp4``; every flag of the command behind each word works.
"""

import sys

import own_agent  # noqa: F401 - importing it registers its agent
import own_model  # noqa: F401 - importing it registers its task

import envs.view
import eval.inspect
import eval.render
import eval.run
import train.run

COMMANDS = {
    "train": train.run.main,
    "score": eval.run.main,
    "film": eval.render.main,
    "inspect": eval.inspect.main,
    "view": envs.view.main,
}

if __name__ == "__main__":
    word, *args = sys.argv[1:] or [""]
    if word not in COMMANDS:
        sys.exit(f"usage: {sys.argv[0]} {{{'|'.join(COMMANDS)}}} ...")
    sys.exit(COMMANDS[word](args))
