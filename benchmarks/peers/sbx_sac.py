"""SBX's SAC, run by the suite ``peers`` in the environment ``.peers/sbx``: ``python sbx_sac.py ARGUMENTS``."""

import functools
import json
import sys
import time
from typing import Any

import flax.linen as nn
import jax
from sbx import SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv


def main(case: dict[str, Any]) -> None:
    """Each line on standard input begins a turn."""
    worlds = make_vec_env(
        case["id"],
        case["worlds"],
        env_kwargs=case["kwargs"],
        vec_env_cls=SubprocVecEnv if case["processes"] else DummyVecEnv,
        # Forked processes share what is imported; otherwise 64 of them would not fit. JAX has no threads yet.
        vec_env_kwargs={"start_method": "fork"} if case["processes"] else {},
    )
    agent = SAC(
        "MlpPolicy",
        worlds,
        buffer_size=case["replay_size"],
        learning_starts=0,
        batch_size=case["batch_size"],
        train_freq=1,
        gradient_steps=case["updates"],
        policy_kwargs={"net_arch": case["hidden"], "activation_fn": functools.partial(nn.gelu, approximate=False)},
    )
    for _ in sys.stdin:
        steps, updates, started = agent.num_timesteps, agent._n_updates, time.perf_counter()
        agent.learn(case["steps"] * case["worlds"], reset_num_timesteps=False)
        turn = {
            "env_steps": agent.num_timesteps - steps,
            "updates": agent._n_updates - updates,
            "seconds": time.perf_counter() - started,
        }
        print(json.dumps(turn | {"device": jax.default_backend()}), flush=True)
    worlds.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
