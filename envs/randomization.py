"""What domain randomisation draws: the declaration, which tasks and the command line share."""

import dataclasses

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Randomization:
    """What is drawn at every reset; a task declares its own in `MujocoTask.randomization`, and the default draws nothing."""

    friction: Range = (1.0, 1.0)
    """range of a factor on the sliding friction of all geoms"""
    mass: Range = (1.0, 1.0)
    """range of a factor on mass and inertia, drawn for each body"""
    actuator_gain: Range = (1.0, 1.0)
    """range of a factor on an actuator's force, drawn for each"""
    obs_noise: float = 0.0
    """standard deviation of the noise on every observed number, drawn at every step"""
    push_speed: float = 0.0
    """largest sudden change of each horizontal velocity (m/s)"""
    push_interval: float = 2.0
    """mean time between pushes (s)"""
    action_delay: int = 0
    """longest delay of the actions (environment steps); each episode draws its own"""
    privileged: bool = False
    """let the critics, not the policy, observe the true observation and the factors as well"""

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
