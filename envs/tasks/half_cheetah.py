"""Half-cheetah: two legs and a spine that run forward (Gymnasium's HalfCheetah)."""

import dataclasses

import jax

from envs.tasks.locomotion import Locomotion, LocomotionArgs


@dataclasses.dataclass(frozen=True)
class HalfCheetahArgs(LocomotionArgs):
    """Arguments of HalfCheetah-v5."""


class HalfCheetah(Locomotion):
    """Run forward. No episode ends early (HalfCheetah-v5)."""

    name = "half_cheetah"
    xml = "half_cheetah.xml"
    frame_skip = 5
    qvel_noise = staticmethod(jax.random.normal)
    mjx_iterations = (20, 8)
    warp_buffers = (16, 40)
    gymnasium_id = "HalfCheetah-v5"
    camera = "track"
    Args = HalfCheetahArgs


class HalfCheetahV4(HalfCheetah):
    """HalfCheetah-v4: equal to v5."""

    name = "half_cheetah-v4"
    gymnasium_id = "HalfCheetah-v4"
