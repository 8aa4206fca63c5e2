"""What can be done with a run: restore, score, film, plot, and inspect blow-ups."""

import envs  # noqa: F401  before MuJoCo, which would not be imported without its OpenGL libraries
