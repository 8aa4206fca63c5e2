"""What is done with a trained run: restore, score, film, plot."""
