"""Measurements of speed, fidelity and learning."""

from mjx_tecrl.packages import check_packages

check_packages("envs", "train", "eval")
