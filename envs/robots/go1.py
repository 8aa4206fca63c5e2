"""Unitree's Go1, a quadruped, walks as it is commanded."""

import mujoco

from envs.robots.walking import Walking, feet_alone_collide, noise_scale


class Go1Walk(Walking):
    """Trot forward, to the side and around, as commanded."""

    name = "robots/go1-walk"
    robot, xml = "unitree_go1", "scene.xml"
    camera = "tracking"
    payload_body = "trunk"
    action_scale = (0.3, 0.6, 0.8) * 4  # rad: hip to the side, hip, knee, which has to fold to lift a foot
    obs_noise_scale = noise_scale(12)
    feet, sole = ("FR", "FL", "RR", "RL"), 0.01
    gait, frequency, swing_height = (0.0, 0.5, 0.5, 0.0), 2.0, 0.06  # a trot: feet across from each other move together
    warp_buffers = (16, 80)
    lowest = 0.18
    pose_weights = (0.5, 0.05, 0.05) * 4

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Gives the motors the gains with which the robot is commonly driven, and lets only the feet touch the floor."""
        for joint in spec.joints[1:]:
            joint.damping[0] = 0.5
        for motor in spec.actuators:
            motor.set_to_position(kp=35.0, kv=0.5)
        feet_alone_collide(spec, self.feet)
