"""A run directory with nothing but the policy: small, and good for everything that `eval` does with a run."""

import dataclasses
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval

from envs.command import UserError
from eval.restore import Restored
from train.checkpoints import Checkpoints, Notes
from train.code_file import save_code
from train.model_file import save_model
from train.problem import Actor, Problem


def write_policy_folder(out: pathlib.Path, restored: Restored, score: Mapping[str, float] | None) -> None:
    """Writes a run directory that can be scored, filmed and exported, but not resumed.

    What acting does not need (critics, optimisers, targets) becomes zeros, which take no space.

    Args:
      out: the folder: a new or an empty one.
      restored: the policy.
      score: what `eval.policy_metadata.score_of` found.

    Raises:
      UserError: it cannot be written; one sentence.
    """
    config = dataclasses.replace(restored.problem.config, run_dir=None)
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    config.save(out)
    save_code(out, config)
    save_model(out, restored.problem.env, with_sources=False)
    checkpoints = Checkpoints(out)
    parts = {"actor": only_needed(restored.problem, restored.actor)}
    checkpoints.save(restored.step, parts, Notes(config.to_json(), {}, score["return_mean"] if score else None))
    checkpoints.finish()


def only_needed(problem: Problem, actor: Actor) -> Actor:
    """``actor`` with zeros in place of each array on which the deterministic action does not depend."""
    arrays, structure = jax.tree.flatten(actor)
    obs = jnp.zeros((1, problem.spec.obs_size))
    closed = jax.make_jaxpr(lambda *arrays: problem.policy(jax.tree.unflatten(structure, arrays))(obs))(*arrays)
    _, needed = partial_eval.dce_jaxpr(closed.jaxpr, [True])
    kept = [x if need else np.zeros_like(x) for x, need in zip(arrays, needed, strict=True)]
    return jax.tree.unflatten(structure, kept)
