"""Softmax-ERA: a classifier of handwritten digits, with and without an entropy floor on its predictions.

Needs scikit-learn for its bundled images (extra ``examples``). Run it with ``python examples/digits.py``.
"""

import dataclasses
import functools
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich.console
import rich.table

from envs.command import UserError, run_command
from mjx_tecrl.era import check_softmax_era, softmax_era, token_entropy

CLASSES = 10
METRICS = (
    "accuracy (%)",
    "expected calibration error (%)",
    "cross-entropy (nats)",
    "mean entropy (nats)",
    "minimum entropy (nats)",
)
"""What is measured on the test images."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare a small classifier of scikit-learn's digits with and without softmax-ERA."""

    floors: tuple[float, ...] = (0.0, 0.6)
    """entropy floors to compare with the plain softmax (nats)"""
    train_images: int = 200
    """images to learn from; a third of the 1797 is kept for the test"""
    steps: int = 2000
    """gradient steps"""
    batch_size: int = 128
    """images per gradient step"""
    hidden: int = 64
    """width of the two hidden layers"""
    lr: float = 1e-3
    """Adam step size"""
    seeds: int = 5
    """independent repetitions, each with a split into training and test images, a network and batches of its own"""


class Classifier(nn.Module):
    """Images ``[..., 64]`` -> logits ``[..., 10]``.

    Attributes:
      hidden: width of the hidden layers.
    """

    hidden: int

    @nn.compact
    def __call__(self, images: jax.Array, floor: jax.Array | None) -> jax.Array:
        """The logits, with a floor on the entropy of the prediction (nats), or without one (None)."""
        x = nn.relu(nn.Dense(self.hidden)(images))
        x = nn.relu(nn.Dense(self.hidden)(x))
        logits = nn.Dense(CLASSES)(x)
        return logits if floor is None else softmax_era(logits, floor)


def calibration_error(logits: jax.Array, labels: jax.Array, bins: int = 15) -> jax.Array:
    """Expected calibration error: ``|accuracy - confidence|`` in bins of equal width of the confidence, weighted by size.

    Args:
      logits: ``[b, n]``.
      labels: ``[b]`` classes.
      bins: number of bins.

    Returns:
      [] a number between 0 and 1.
    """
    p = jax.nn.softmax(logits)
    confidence, right = p.max(-1), p.argmax(-1) == labels
    number = jnp.clip(jnp.floor(confidence * bins).astype(int), 0, bins - 1)
    return jnp.sum(jnp.abs(jnp.zeros(bins).at[number].add(right - confidence))) / len(labels)


def learn(args: Args, images: jax.Array, labels: jax.Array, floor: jax.Array | None, key: jax.Array) -> dict[str, jax.Array]:
    """Trains on some of the images and measures on others.

    Args:
      args: the command's arguments.
      images: ``[b, 64]`` between 0 and 1.
      labels: ``[b]`` classes.
      floor: floor on the entropy of the predictions, nats; None for a plain softmax.
      key: decides the split, the network and the batches.

    Returns:
      `METRICS`, measured on the test images.
    """
    classifier, optimizer = Classifier(args.hidden), optax.adam(args.lr)
    keys = jax.random.split(key, 3)
    order, test_size = jax.random.permutation(keys[0], len(images)), len(images) // 3
    test, train = order[:test_size], order[test_size : test_size + args.train_images]
    params = classifier.init(keys[1], images[:1], floor)

    def loss(params: dict, batch: jax.Array) -> jax.Array:
        logits = classifier.apply(params, images[batch], floor)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels[batch]))

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, None]:
        params, state = carry
        gradient = jax.grad(loss)(params, jax.random.choice(key, train, (args.batch_size,)))
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(keys[2], args.steps))
    logits = classifier.apply(params, images[test], floor)
    entropy = token_entropy(logits)
    values = (
        100 * jnp.mean(logits.argmax(-1) == labels[test]),
        100 * calibration_error(logits, labels[test]),
        loss(params, test),
        entropy.mean(),
        entropy.min(),
    )
    return dict(zip(METRICS, values, strict=True))


def compare(args: Args, images: np.ndarray, labels: np.ndarray) -> list[dict[str, np.ndarray]]:
    """`METRICS` of the plain softmax, and then of each floor. Each metric is an array ``[seeds]``."""
    keys = jax.random.split(jax.random.key(0), args.seeds)
    run = jax.jit(jax.vmap(functools.partial(learn, args), (None, None, None, 0)))
    return [jax.device_get(run(images, labels, floor, keys)) for floor in (None, *args.floors)]


def report(args: Args, results: list[dict[str, np.ndarray]]) -> rich.table.Table:
    """The results of `compare` as a table."""
    title = f"digits, {args.train_images} training images, {args.seeds} seeds: mean ± std"
    table = rich.table.Table("metric", title=title)
    for name in ("softmax", *(f"ERA {floor:g}" for floor in args.floors)):
        table.add_column(name, justify="right")
    for metric in METRICS:
        table.add_row(metric, *(f"{result[metric].mean():.3f} ± {result[metric].std():.3f}" for result in results))
    table.add_section()
    one_hot = jnp.where(jnp.arange(CLASSES) == 0, 1e6, 0.0)
    one_hot_entropies = [float(token_entropy(softmax_era(one_hot, floor))) for floor in args.floors]
    table.add_row("floor (nats)", "none", *(f"{floor:.3f}" for floor in args.floors))
    table.add_row("entropy of a one-hot input (nats)", "0.000", *(f"{entropy:.3f}" for entropy in one_hot_entropies))
    return table


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""

    def action(args: Args) -> None:
        try:
            for floor in args.floors:
                check_softmax_era(CLASSES, floor)
        except ValueError as error:
            raise UserError(f"{error}.") from error
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise UserError("This example needs scikit-learn: pip install 'mjx-tecrl[examples]'.") from error
        images, labels = load_digits(return_X_y=True)
        most = len(images) - len(images) // 3
        if not 1 <= args.train_images <= most:
            raise UserError(f"--train-images must lie between 1 and {most}, not {args.train_images}.")
        rich.console.Console().print(report(args, compare(args, images.astype(np.float32) / 16, labels)))

    return run_command(Args, action, "python examples/digits.py", args)


if __name__ == "__main__":
    sys.exit(main())
