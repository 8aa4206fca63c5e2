"""Training: configs, presets, the loop, checkpoints and logs."""
