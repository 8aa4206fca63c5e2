"""Plays episodes in our own simulation or in Gymnasium's, and computes their statistics."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import envs
from envs.command import UserError
from eval.restore import Restored


@dataclasses.dataclass(frozen=True)
class Score:
    """Statistics of the returns of some episodes.

    Attributes:
      episodes: number of episodes that the statistics are over.
      return_mean: mean return.
      return_std: standard deviation of the returns.
      return_iqm: mean of the middle half of the returns (arXiv 2108.13264).
      return_iqm_low: lower end of its 95 % bootstrap confidence interval.
      return_iqm_high: its upper end.
      length_mean: mean length (environment steps).
      diverged: episodes whose physics blew up; the statistics leave them out.
      overflowed: episodes with a step for which a buffer of the physics engine was too small; the statistics include
        them.
    """

    episodes: int
    return_mean: float
    return_std: float
    return_iqm: float
    return_iqm_low: float
    return_iqm_high: float
    length_mean: float
    diverged: int
    overflowed: int


def play(restored: Restored, episodes: int, seed: int = 0) -> envs.Episodes:
    """Episodes of the deterministic policy in our own simulation."""
    key = jax.random.fold_in(jax.random.key(seed), 1)
    run = jax.jit(lambda actor: restored.problem.play(actor, key, episodes))
    return jax.device_get(run(restored.actor))


def play_in_gymnasium(restored: Restored, episodes: int, seed: int = 0) -> envs.Episodes:
    """Episodes of the deterministic policy in Gymnasium's own environment, in C MuJoCo and float64.

    Raises:
      UserError: the task, or the task with these arguments, has no equal in Gymnasium.
    """
    problem = restored.problem
    env = problem.env
    try:
        worlds = [env.make_gymnasium() for _ in range(episodes)]
    except ValueError as error:
        raise UserError(f"{error}.") from error
    control = jax.jit(lambda actor, obs: env.to_ctrl(problem.policy(actor)(obs)))
    obs = np.stack([world.reset(seed=seed * episodes + i)[0] for i, world in enumerate(worlds)])
    returns, lengths, alive = np.zeros(episodes), np.zeros(episodes, int), np.ones(episodes, bool)
    while alive.any():
        ctrl = np.asarray(control(restored.actor, obs.astype(np.float32)))
        for i in np.flatnonzero(alive):
            obs[i], reward, terminated, truncated, _ = worlds[i].step(ctrl[i])
            returns[i] += reward
            lengths[i] += 1
            alive[i] = not (terminated or truncated)
    none = np.zeros(episodes, bool)
    return envs.Episodes(*map(jnp.asarray, (returns, lengths, ~np.isfinite(returns), none)))


def summarize(played: envs.Episodes) -> Score:
    """The statistics of some episodes.

    Raises:
      UserError: the physics blew up in every episode.
    """
    finite = ~np.asarray(played.diverged)
    returns, lengths = np.asarray(played.returns)[finite], np.asarray(played.lengths)[finite]
    if not len(returns):
        raise UserError("The physics blew up in every episode: there is nothing to score.")
    iqm = float(_iqm(returns))
    low = high = iqm
    if len(returns) > 1 and np.ptp(returns) > 0:
        interval = scipy.stats.bootstrap(
            (returns,), _iqm, method="percentile", n_resamples=2000, rng=np.random.default_rng(0)
        )
        low, high = map(float, interval.confidence_interval)
    return Score(
        episodes=len(returns),
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
        return_iqm=iqm,
        return_iqm_low=low,
        return_iqm_high=high,
        length_mean=float(lengths.mean()),
        diverged=int((~finite).sum()),
        overflowed=int(np.asarray(played.overflowed).sum()),
    )


def _iqm(returns: np.ndarray, axis: int = -1) -> np.ndarray:
    return scipy.stats.trim_mean(returns, 0.25, axis=axis)
