"""What can be done with a run: restore, score, film, plot, and inspect blow-ups."""

from mjx_tecrl.packages import check_packages

check_packages("envs", "train")

# isort: split

import envs  # noqa: F401, E402  before MuJoCo, which would not be imported without its OpenGL libraries
