"""Training: configs, presets, iterations, the compiled program, checkpoints and logs."""
