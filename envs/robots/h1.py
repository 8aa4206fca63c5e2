"""Unitree's H1, a humanoid with 19 joints, walks as it is commanded."""

import mujoco

from envs.robots.walking import Walking, feet_alone_collide, noise_scale

GAINS = {"hip": (200, 5), "knee": (300, 6), "ankle": (40, 2), "torso": (300, 6), "shoulder": (100, 2), "elbow": (100, 2)}
"""Stiffness (N m/rad) and damping (N m s/rad) of the position control, as in HumanoidBench (arXiv 2403.10506)."""


class H1Walk(Walking):
    """Walk forward, to the side and around, as commanded."""

    name = "robots/h1-walk"
    robot, xml = "unitree_h1", "scene.xml"
    action_scale = 0.5  # rad
    obs_noise_scale = noise_scale(19)
    feet = ("left_foot", "right_foot")
    gait, frequency, swing_height = (0.0, 0.5), 1.4, 0.1
    warp_buffers = (48, 96)
    lowest = 0.6
    # hip yaw, roll, pitch, knee, ankle; torso; shoulder pitch, roll, yaw, elbow
    pose_weights = (0.5, 0.5, 0.01, 0.01, 0.01) * 2 + (0.5,) + (0.1,) * 8

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Turns the motors into position control about the home pose, and lets only the feet touch the floor."""
        for motor in spec.actuators:
            kp, kd = next(gains for part, gains in GAINS.items() if part in motor.name)
            motor.set_to_position(kp=kp, kv=kd)
            motor.forcerange, motor.ctrlrange = motor.ctrlrange, spec.joint(motor.target).range
        spec.key("home").ctrl = list(spec.key("home").qpos)[7:]
        for side in ("left", "right"):
            ankle = spec.body(f"{side}_ankle_link")
            ankle.add_site(name=f"{side}_foot", pos=(0.04, 0.0, -0.07))
            for number, geom in enumerate(geom for geom in ankle.geoms if geom.contype):
                geom.name = f"{side}_foot{number}"
        feet_alone_collide(spec, [geom.name for geom in spec.geoms if "_foot" in geom.name])
