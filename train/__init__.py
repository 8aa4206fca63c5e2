"""Training: configs, presets, iterations, the compiled program, checkpoints and logs."""

from mjx_tecrl.packages import check_packages

check_packages("envs")
