"""Brax's SAC, run by the suite ``peers`` in the environment ``.peers/brax``: ``python brax_sac.py ARGUMENTS``."""

import functools
import json
import sys
from typing import Any

import flax.linen as nn
import jax
from brax.training.agents.sac import networks, train

import envs
from envs.adapters.brax_env import BraxEnv


class NoEvaluation:
    """Takes the place of Brax's evaluator, since only training is measured."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def run_evaluation(self, params: Any, training_metrics: dict[str, Any]) -> dict[str, Any]:
        """Returns the metrics of training alone."""
        return training_metrics


def main(case: dict[str, Any]) -> None:
    """An epoch of Brax's training is a turn. It ends with ``progress``, which waits for the next turn."""
    steps = case["steps"] * case["worlds"]
    turns = 1000  # more than are ever asked for

    def progress(_: int, metrics: dict[str, Any]) -> None:
        if metrics:
            turn = {
                "env_steps": steps,
                "updates": case["steps"] * case["updates"],
                "seconds": steps / float(metrics["training/sps"]),
            }
            print(json.dumps(turn | {"device": jax.default_backend()}), flush=True)
        if not sys.stdin.readline():
            raise SystemExit

    train.acting.Evaluator = NoEvaluation
    train.train(
        BraxEnv(envs.make(case["task"], physics=case["engine"])),
        num_timesteps=turns * steps,
        num_evals=turns + 1,
        episode_length=1000,
        num_envs=case["worlds"],
        batch_size=case["batch_size"],
        grad_updates_per_step=case["updates"],
        max_replay_size=case["replay_size"],
        discounting=0.99,
        network_factory=functools.partial(
            networks.make_sac_networks,
            hidden_layer_sizes=tuple(case["hidden"]),
            activation=functools.partial(nn.gelu, approximate=False),
        ),
        progress_fn=progress,
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
