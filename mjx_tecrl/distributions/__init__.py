"""Formulas of the probability distributions that policies use: each distribution in a module of its own."""
