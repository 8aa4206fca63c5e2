"""Runge and Kutta's integrator around any forward dynamics of MJX.

``mjx.step`` writes the forward dynamics into the program four times, once for each stage, and most of the time to
a run's first step goes into compiling them. Here they are a loop's body, and they may be other than ``mjx.forward``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from envs.engines.mjx_import import mjx

_ALONG = np.array([0.0, 0.5, 0.5, 1.0], np.float32)
"""The part of a time step that each stage goes along the rates of the stage before it."""

_WEIGHTS = np.array([1, 2, 2, 1], np.float32) / 6

_Rates = tuple[jax.Array, jax.Array, jax.Array]
"""of positions, velocities and activations"""


def step(forward: Callable[[mjx.Model, mjx.Data], mjx.Data], model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """``mjx.step`` by the integrator RK4.

    Args:
      forward: the forward dynamics, such as ``mjx.forward``.
      model: the model.
      data: one world before the step.

    Returns:
      The world after the step. As in MJX, what was computed from positions and velocities is that of the last stage.
    """
    # MJX's Euler step without implicit damping is q + dt v and v + dt a, for all kinds of joints and activations.
    explicit = model.tree_replace({"opt.disableflags": model.opt.disableflags | mjx.DisableBit.EULERDAMP})
    dt = model.opt.timestep

    def moved(qvel: jax.Array) -> jax.Array:
        return mjx.euler(explicit, data.replace(qvel=qvel, qacc=jnp.zeros_like(qvel))).qpos

    def stage(carry: tuple[_Rates, mjx.Data], part: tuple[jax.Array, jax.Array]) -> tuple[tuple[_Rates, mjx.Data], None]:
        total, last = carry
        along, weight = part
        here = forward(
            model,
            data.replace(
                qpos=moved(along * last.qvel),
                qvel=data.qvel + along * last.qacc * dt,
                act=data.act + along * last.act_dot * dt,
                time=data.time + along * dt,
            ),
        )
        rates = here.qvel, here.qacc, here.act_dot
        return (jax.tree.map(lambda sum_, rate: sum_ + weight * rate, total, rates), here), None

    none = jnp.zeros_like(data.qvel), jnp.zeros_like(data.qacc), jnp.zeros_like(data.act_dot)
    before = data.replace(qacc=none[1], act_dot=none[2])
    parts = jnp.asarray(_ALONG), jnp.asarray(_WEIGHTS)
    # A GPU would wait at each turn, which costs it more than a program that is compiled once and is four times as large.
    unroll = 1 if jax.default_backend() == "cpu" else len(_ALONG)
    ((qvel, qacc, act_dot), last), _ = jax.lax.scan(stage, (none, before), parts, unroll=unroll)
    start = last.replace(qpos=data.qpos, qvel=data.qvel, act=data.act, time=data.time, qacc=qacc, act_dot=act_dot)
    after = mjx.euler(explicit, start)
    return after.replace(qpos=moved(qvel), qacc=last.qacc, qacc_warmstart=last.qacc, act_dot=last.act_dot)
