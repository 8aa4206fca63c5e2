"""What domain randomisation draws. Tasks and the command line declare it in the same form."""

import dataclasses

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Randomization:
    """What is drawn at every reset. The default draws nothing; a task declares its own in `MujocoTask.randomization`.

    Raises:
      ValueError: a range holds factors that are not positive, or a number is negative or not finite.
    """

    friction: Range = (1.0, 1.0)
    """range of a factor on the sliding friction of all geoms and contact pairs"""
    mass: Range = (1.0, 1.0)
    """range of a factor on the mass and inertia of a body, drawn for each body"""
    actuator_gain: Range = (1.0, 1.0)
    """range of a factor on the force of an actuator, drawn for each actuator"""
    obs_noise: float = 0.0
    """standard deviation of the noise that is added to every observed number at every step"""
    push_speed: float = 0.0
    """largest change of each horizontal velocity by a push (m/s)"""
    push_interval: float = 2.0
    """mean time between pushes (s)"""
    action_delay: int = 0
    """longest delay of the actions (environment steps); every episode draws its own delay"""
    privileged: bool = False
    """let the critics, but not the policy, also observe the observation without noise and the factors"""

    def __post_init__(self) -> None:
        for name in ("friction", "mass", "actuator_gain"):
            low, high = getattr(self, name)
            if not 0 < low <= high < float("inf"):
                raise ValueError(f"randomize.{name} must be a range of positive factors, not {getattr(self, name)}")
        for name in ("obs_noise", "push_speed", "action_delay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"randomize.{name} must not be negative, not {getattr(self, name)}")
        if not self.push_interval > 0:
            raise ValueError(f"randomize.push_interval must be positive, not {self.push_interval}")


NOT_RANDOMIZED = Randomization()
"""All worlds are alike."""
