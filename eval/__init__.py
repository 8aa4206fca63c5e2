"""What can be done with a run: restore, score, film, plot, and inspect blow-ups."""
