"""What domain randomisation draws. Tasks and the command line declare it in the same form."""

import dataclasses

Range = tuple[float, float]

FACTORS = ("friction", "mass", "actuator_gain", "kp", "kd", "damping", "armature", "friction_loss", "gravity")
"""Names of the factors on what the model says, of which 1 changes nothing."""


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
    kp: Range = (1.0, 1.0)
    """range of a factor on the stiffness of a position actuator, drawn for each"""
    kd: Range = (1.0, 1.0)
    """range of a factor on the damping of a position or velocity actuator, drawn for each"""
    damping: Range = (1.0, 1.0)
    """range of a factor on the damping of a joint, drawn for each degree of freedom"""
    armature: Range = (1.0, 1.0)
    """range of a factor on the rotor inertia (armature) of a joint, drawn for each degree of freedom"""
    friction_loss: Range = (1.0, 1.0)
    """range of a factor on the dry friction of a joint, drawn for each degree of freedom"""
    gravity: Range = (1.0, 1.0)
    """range of a factor on gravity"""
    payload: Range = (0.0, 0.0)
    """range of a mass (kg) that is added at the centre of mass of the task's payload body"""
    center_of_mass: float = 0.0
    """largest shift of the centre of mass of the task's payload body, along each of its axes (m)"""
    joint_offset: float = 0.0
    """largest error of the zero position of a hinge or slide joint, drawn for each joint (rad, m)"""
    obs_noise: float = 0.0
    """standard deviation of the noise that is added to every observed number at every step, in the task's units of noise"""
    obs_delay: int = 0
    """longest delay of what the policy observes (environment steps); every episode draws its own delay"""
    push_speed: float = 0.0
    """largest change of each horizontal velocity by a push (m/s)"""
    push_interval: float = 2.0
    """mean time between pushes (s)"""
    action_delay: int = 0
    """longest delay of the actions (environment steps); every episode draws its own delay"""
    privileged: bool = False
    """let the critics, but not the policy, also observe the observation without noise and the factors"""

    def __post_init__(self) -> None:
        for name in FACTORS:
            low, high = getattr(self, name)
            if not 0 < low <= high < float("inf"):
                raise ValueError(f"randomize.{name} must be a range of positive factors, not {getattr(self, name)}")
        if not 0 <= self.payload[0] <= self.payload[1] < float("inf"):
            raise ValueError(f"randomize.payload must be a range of masses from 0 up, not {self.payload}")
        for name in ("center_of_mass", "joint_offset", "obs_noise", "obs_delay", "push_speed", "action_delay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"randomize.{name} must not be negative, not {getattr(self, name)}")
        if not self.push_interval > 0:
            raise ValueError(f"randomize.push_interval must be positive, not {self.push_interval}")


NOT_RANDOMIZED = Randomization()
"""All worlds are alike."""
