"""MJX, imported without the message that it prints where the optional Warp is not installed."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):
    from mujoco import mjx

__all__ = ["mjx"]
