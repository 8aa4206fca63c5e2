"""What the walking robots share: commands, the observation, the reward's terms, and what differs between worlds."""

import dataclasses
import math
import pathlib
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from envs.base import Obs, State
from envs.engines import Derived, PhysicsState
from envs.menagerie import find_robot, missing_robot
from envs.randomization import Randomization, Range
from envs.tasks.model_files import compile_model, find_model
from envs.tasks.mujoco_task import Info, MujocoTask
from envs.tasks.task_args import TaskArgs


@dataclasses.dataclass(frozen=True)
class WalkingArgs(TaskArgs):
    """Arguments of every walking robot."""

    menagerie: pathlib.Path | None = None
    """a checkout of MuJoCo Menagerie; default: the installed packages"""
    forward_range: Range = (-0.5, 1.0)
    """commanded velocities forward (m/s)"""
    sideways_range: Range = (-0.4, 0.4)
    """commanded velocities to the left (m/s)"""
    turn_range: Range = (-1.0, 1.0)
    """commanded turning rates to the left (rad/s)"""
    command_time: float = 5.0
    """time after which another command is given (s)"""
    standing: float = 0.1
    """share of commands that are to stand still"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.command_time > 0:
            raise ValueError(f"env.command_time must be positive, not {self.command_time}")
        if not 0 <= self.standing <= 1:
            raise ValueError(f"env.standing must be 0 to 1, not {self.standing}")


def noise_scale(joints: int) -> tuple[float, ...]:
    """`MujocoTask.obs_noise_scale` of a robot: in rad/s for the gyroscope, then for gravity, 5 numbers without noise, in rad
    and rad/s for the joints, and none for the last action."""
    return (0.1,) * 3 + (0.03,) * 3 + (0.0,) * 5 + (0.02,) * joints + (0.5,) * joints + (0.0,) * joints


class Walking(MujocoTask):
    """Walk as commanded: forward, to the side, and turning.

    The actions are offsets of the joints' targets from the home pose, for position control. A clock says when which foot is
    to be in the air. The policy observes what a robot can measure; the critics also observe its velocity, and the heights of
    body and feet.

    A subclass states the class attributes below, and overrides `edit` where the model's file needs changes.
    """

    frame_skip = 4
    robot: ClassVar[str]
    """folder of the robot in MuJoCo Menagerie"""
    keyframe = "home"
    feet: ClassVar[tuple[str, ...]]
    """names of the sites at the feet"""
    sole: ClassVar[float] = 0.0
    """height of these sites where the feet stand on the ground (m)"""
    gait: ClassVar[tuple[float, ...]]
    """where each foot is in its cycle when the clock starts, in parts of a cycle; in the first half it is in the air"""
    frequency: ClassVar[float]
    """cycles per second"""
    swing_height: ClassVar[float]
    """height to which a foot is to be lifted (m)"""
    lowest: ClassVar[float]
    """height of the body below which the robot has fallen (m)"""
    pose_weights: ClassVar[tuple[float, ...]]
    """cost of a joint's squared distance from the home pose, for each joint"""
    randomization = Randomization(
        friction=(0.6, 1.25),
        mass=(0.9, 1.1),
        kp=(0.9, 1.1),
        obs_noise=1.0,
        push_speed=0.5,
        push_interval=5.0,
    )
    Args = WalkingArgs

    def load(self) -> mujoco.MjModel:
        """Loads the robot from Menagerie and changes what `edit` says.

        Raises:
          MissingExtra: there is no such robot here.
          ValueError: there is no such file, or it is not a model.
        """
        if self.args.xml_file is not None:
            self.model_file = find_model(self.args.xml_file)
        else:
            folder = find_robot(self.robot, self.args.menagerie)
            if folder is None:
                raise missing_robot(self.name)
            self.model_file = folder / self.xml
        spec = mujoco.MjSpec.from_file(str(self.model_file))
        spec.option.timestep = 0.005
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self.edit(spec)
        return compile_model(spec)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """Changes the model before it is compiled."""

    @classmethod
    def source(cls) -> str:
        """Where the task comes from, in words."""
        return f"MuJoCo Menagerie's {cls.robot}"

    @property
    def reads(self) -> tuple[str, ...]:
        """Where the feet are, and the forces of the actuators."""
        return ("site_xpos", "actuator_force")

    def reset_pose(self, key: jax.Array) -> tuple[jax.Array, jax.Array, Info]:
        """The home pose with joints that are off by up to 0.05 rad, and the commands of the whole episode."""
        key, key_joints, key_commands, key_standing = jax.random.split(key, 4)
        qpos, qvel, info = super().reset_pose(key)
        qpos = qpos.at[7:].add(jax.random.uniform(key_joints, (self.model.nq - 7,), minval=-0.05, maxval=0.05))
        number = math.ceil(self.episode_length * self.frame_skip * self.model.opt.timestep / self.args.command_time)
        low, high = np.array([self.args.forward_range, self.args.sideways_range, self.args.turn_range]).T
        commands = jax.random.uniform(key_commands, (number, 3), minval=low, maxval=high)
        walks = jax.random.uniform(key_standing, (number, 1)) >= self.args.standing
        action = jnp.zeros(self.action_size)
        return qpos, qvel, info | {"commands": commands * walks, "action": action, "action_before": action}

    def command(self, time: jax.Array, info: Info) -> jax.Array:
        """``[3]`` the command at a time (s): velocities forward and to the left (m/s), and turning rate (rad/s)."""
        commands = info["commands"]
        return commands[(time / self.args.command_time).astype(int) % len(commands)]

    def remember(self, physics: PhysicsState, derived: Derived) -> Info:
        """Where the feet are, from which `score` takes their velocities."""
        return {"feet": self.foot_positions(derived)}

    def step(self, state: State, action: jax.Array) -> State:
        """See `Env.step`. The last two actions are kept: the policy observes the last, and changes of the action cost."""
        info = state.info | {"action": action, "action_before": state.info["action"]}
        return super().step(dataclasses.replace(state, info=info), action)

    def observe(self, physics: PhysicsState, derived: Derived, info: Info) -> Obs:
        """``state``: turning rates and gravity in the body's axes, command, clock, joints, their velocities, last action.
        ``privileged``: the body's velocity in its own axes, its height, and those of the feet."""
        command = self.command(physics.time, info)
        angle = 2 * jnp.pi * self.frequency * physics.time
        clock = jnp.stack([jnp.cos(angle), jnp.sin(angle)]) * _walks(command)
        joints = physics.qpos[7:] - jnp.asarray(self._key.qpos[7:], jnp.float32)
        body = [physics.qvel[3:6], _in_body(physics, jnp.array([0.0, 0.0, -1.0]))]
        return {
            "state": jnp.concatenate([*body, command, clock, joints, physics.qvel[6:], info["action"]]),
            "privileged": jnp.concatenate(
                [_in_body(physics, physics.qvel[:3]), physics.qpos[2:3], self.foot_positions(derived)[:, 2]]
            ),
        }

    def score(
        self, physics: PhysicsState, derived: Derived, ctrl: jax.Array, info: Info
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Rewards for the commanded velocity, for the gait and for not falling, minus costs. NaN counts as a fall."""
        time = physics.time - self.dt  # the command that the action was an answer to
        command = self.command(time, info)
        velocity, turn, up = (
            _in_body(physics, physics.qvel[:3]),
            physics.qvel[3:6],
            _in_body(physics, jnp.array([0.0, 0, 1])),
        )
        feet = self.foot_positions(derived)
        speed = (feet - info["feet"])[:, :2] / self.dt
        joints = physics.qpos[7:] - jnp.asarray(self._key.qpos[7:], jnp.float32)
        terms = {
            "velocity": 1.5 * jnp.exp(-_squares(command[:2] - velocity[:2]) / 0.25),
            "turn": 0.5 * jnp.exp(-_squares(command[2] - turn[2]) / 0.25),
            "gait": jnp.exp(-_squares((feet[:, 2] - self.foot_heights(time, command)) / self.swing_height)),
            "alive": jnp.full((), 0.5),
            "tilt": -2.0 * _squares(up[:2]),
            "bounce": -0.5 * velocity[2] ** 2,
            "wobble": -0.05 * _squares(turn[:2]),
            "pose": -_squares(jnp.sqrt(jnp.array(self.pose_weights)) * joints),
            "slip": -0.1 * jnp.sum(jnp.sum(speed**2, axis=-1) * (feet[:, 2] < 0.01)),
            "jerk": -0.01 * _squares(info["action"] - info["action_before"]),
            "power": -0.0005 * jnp.sum(jnp.abs(derived["actuator_force"] * physics.qvel[6:])),
        }
        stands = (up[2] > 0.5) & (physics.qpos[2] > self.lowest)
        return terms, ~stands

    def foot_positions(self, derived: Derived) -> jax.Array:
        """``[feet, 3]`` where the soles are (m)."""
        sites = [self.model.site(name).id for name in self.feet]
        return derived["site_xpos"][np.array(sites)] - jnp.array([0.0, 0.0, self.sole])

    def foot_heights(self, time: jax.Array, command: jax.Array) -> jax.Array:
        """``[feet]`` how high the clock wants the soles (m): on the ground while the robot is to stand still."""
        lift = jnp.sin(2 * jnp.pi * (self.frequency * time + jnp.array(self.gait)))
        return self.swing_height * jnp.maximum(lift, 0.0) * _walks(command)


def feet_alone_collide(spec: mujoco.MjSpec, feet: Any) -> None:
    """Lets nothing but the geoms of these names touch the floor. That is quick, and every engine can simulate it."""
    for geom in spec.geoms:
        geom.contype, geom.conaffinity = int(geom.name == "floor"), int(geom.name in feet)


def _walks(command: jax.Array) -> jax.Array:
    """[] 1 if a command is to move, 0 if it is to stand still."""
    return jnp.any(command != 0).astype(jnp.float32)


def _in_body(physics: PhysicsState, vector: jax.Array) -> jax.Array:
    """``[3]`` a vector of the world in the axes of the robot's body."""
    w, axis = physics.qpos[3], -physics.qpos[4:7]
    across = 2 * jnp.cross(axis, vector)
    return vector + w * across + jnp.cross(axis, across)


def _squares(x: jax.Array) -> jax.Array:
    return jnp.sum(x**2)
