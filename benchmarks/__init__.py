"""Measurements of speed, fidelity and learning."""
