"""Unitree's G1, a humanoid with 29 joints, walks as it is commanded."""

from envs.robots.walking import Walking, noise_scale


class G1Walk(Walking):
    """Walk forward, to the side and around, as commanded."""

    name = "robots/g1-walk"
    robot, xml = "unitree_g1", "scene_mjx.xml"
    keyframe = "knees_bent"
    action_scale = 0.5  # rad
    obs_noise_scale = noise_scale(29)
    feet = ("left_foot", "right_foot")
    gait, frequency, swing_height = (0.0, 0.5), 1.4, 0.1
    warp_buffers = (48, 144)
    lowest = 0.5
    # hip pitch, roll, yaw, knee, ankle pitch, roll; three of the waist; shoulder pitch, roll, yaw, elbow, three of the wrist
    pose_weights = (0.01, 0.5, 0.5, 0.01, 0.01, 0.1) * 2 + (0.5,) * 3 + (0.1,) * 14
