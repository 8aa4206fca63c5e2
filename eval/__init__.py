"""What is done with a trained run: restore, score, film, plot."""

import os
import sys

if sys.platform.startswith("linux") and "DISPLAY" not in os.environ:
    # MuJoCo chooses how to draw when it is first imported, and by itself it would look for a screen.
    os.environ.setdefault("MUJOCO_GL", "egl")
