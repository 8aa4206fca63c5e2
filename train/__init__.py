"""Training: configs, presets, iterations, the compiled program, checkpoints and logs."""

import pathlib
import runpy

# By its path, since the package that it is in loads JAX. What starts trainings in processes of their own does without.
_CHECK = pathlib.Path(__file__).resolve().parents[1] / "mjx_tecrl" / "packages.py"
runpy.run_path(str(_CHECK))["check_packages"]("envs")
