"""Token-ERA: a tiny language model learns by group-relative policy optimisation (GRPO), with token-ERA and without it.

A character-level transformer has to write a number as a sum of three digits, ``13=4+7+2``. Every right sum counts the same.
The model learns briefly from random demonstrations, and then only from the rewards of a grader. Plain GRPO ends with about
one sum per number; token-ERA keeps a choice.

The grader errs now and then. If it did not, soon every response of a group would be right. No advantage would be left, and
without advantages token-ERA has no force.

Run it with ``python examples/arithmetic.py --out arithmetic.png``.
"""

import dataclasses
import functools
import pathlib
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import rich.console
import rich.table

from envs.command import UserError, run_command
from eval.plot import write_figure
from mjx_tecrl.era import check_token_era, response_entropy, token_entropy, token_era

CHARACTERS = "0123456789+="
PLUS, EQUALS = 10, 11
PROMPT, RESPONSE = 3, 5  # characters of "13=" and of "4+7+2"
NUMBERS = jnp.arange(5, 23)  # each is a sum of three digits in at least 21 ways
SAMPLES = 8
"""responses per number in the final evaluation"""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare GRPO of a tiny language model with and without token-ERA."""

    low: float = 0.45
    """response entropy below which token-ERA sharpens the loss's logits (nats)"""
    high: float = 3.0
    """response entropy above which token-ERA softens them (nats)"""
    k: float = 2.0
    """how much sharper or softer"""
    demonstrations: int = 500
    """supervised gradient steps at the start, of 128 demonstrations each"""
    iterations: int = 1000
    """iterations of GRPO: each samples responses, then updates"""
    prompts: int = 16
    """numbers per iteration"""
    group: int = 8
    """responses per number"""
    epochs: int = 2
    """gradient steps per iteration"""
    lr: float = 1e-3
    """Adam step size of GRPO; the demonstrations use five times as much"""
    grader_errors: float = 0.2
    """probability that the grader takes a right response for a wrong one, or a wrong one for a right one"""
    clip: float = 0.2
    """how far the probability ratio may move from 1"""
    layers: int = 1
    """blocks of the transformer"""
    width: int = 32
    """width of the transformer, a multiple of 4"""
    seeds: int = 3
    """independent repetitions"""
    out: pathlib.Path | None = None
    """picture to write (.png, .svg or .pdf)"""


class Transformer(nn.Module):
    """A causal transformer: ``[b, t]`` characters -> ``[b, t, 12]`` logits of the next character.

    Attributes:
      layers: number of blocks, each of attention and a feed-forward part.
      width: width of the residual stream.
    """

    layers: int
    width: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        positions = self.param("positions", nn.initializers.normal(0.02), (PROMPT + RESPONSE, self.width))
        x = nn.Embed(len(CHARACTERS), self.width)(tokens) + positions[: tokens.shape[1]]
        mask = nn.make_causal_mask(tokens)
        for _ in range(self.layers):
            x += nn.MultiHeadDotProductAttention(num_heads=4)(nn.LayerNorm()(x), mask=mask)
            x += nn.Dense(self.width)(nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x))))
        return nn.Dense(len(CHARACTERS), name="head")(nn.LayerNorm()(x))


class Batch(NamedTuple):
    """What the loss reads of the sampled responses.

    Attributes:
      tokens: ``[b, PROMPT + RESPONSE]`` characters, prompts and responses.
      logits: ``[b, RESPONSE, 12]`` logits of the policy that drew the responses.
      advantages: ``[b, RESPONSE]`` advantages relative to the group; all characters of a response have the same.
      h_resp: ``[b]`` response entropy of the policy that drew the responses, nats.
    """

    tokens: jax.Array
    logits: jax.Array
    advantages: jax.Array
    h_resp: jax.Array


def prompts(numbers: jax.Array) -> jax.Array:
    """``[b]`` numbers -> ``[b, PROMPT]`` characters."""
    return jnp.stack([numbers // 10, numbers % 10, jnp.full_like(numbers, EQUALS)], 1)


def demonstrate(digits: jax.Array) -> jax.Array:
    """Prompts with the sums of these digits as responses: ``[b, 3]`` -> ``[b, PROMPT + RESPONSE]`` characters."""
    responses = jnp.full((len(digits), RESPONSE), PLUS).at[:, ::2].set(digits)
    return jnp.concatenate([prompts(digits.sum(1)), responses], 1)


def grade(tokens: jax.Array) -> jax.Array:
    """Whether the response is a sum of three digits and equals the number: ``[b]``."""
    digits, pluses = tokens[:, PROMPT::2], tokens[:, PROMPT + 1 :: 2]
    right = digits.sum(1) == 10 * tokens[:, 0] + tokens[:, 1]
    return right & jnp.all(digits < 10, 1) & jnp.all(pluses == PLUS, 1)


def response_logits(model: Transformer, params: dict, tokens: jax.Array) -> jax.Array:
    """Logits of each character of the response, ``[b, RESPONSE, 12]``."""
    return model.apply(params, tokens[:, :-1])[:, PROMPT - 1 :]


def log_prob(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log-probability of each character of the response, ``[b, RESPONSE]``."""
    return -optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, PROMPT:])


def generate(model: Transformer, params: dict, numbers: jax.Array, key: jax.Array) -> jax.Array:
    """Prompts with sampled responses, ``[b, PROMPT + RESPONSE]``."""

    def step(i: jax.Array, tokens: jax.Array) -> jax.Array:
        logits = response_logits(model, params, tokens)[:, i]
        return tokens.at[:, PROMPT + i].set(jax.random.categorical(jax.random.fold_in(key, i), logits))

    return jax.lax.fori_loop(0, RESPONSE, step, jnp.pad(prompts(numbers), ((0, 0), (0, RESPONSE))))


def sample(model: Transformer, args: Args, params: dict, key: jax.Array) -> tuple[Batch, jax.Array]:
    """Draws some numbers and a group of responses to each. Also returns which responses are right, ``[b]``."""
    keys = jax.random.split(key, 3)
    tokens = generate(model, params, jnp.repeat(jax.random.choice(keys[0], NUMBERS, (args.prompts,)), args.group), keys[1])
    right = grade(tokens)
    rewards = (right ^ jax.random.bernoulli(keys[2], args.grader_errors, right.shape)).reshape(args.prompts, args.group)
    advantages = (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, keepdims=True) + 1e-4)
    logits = response_logits(model, params, tokens)
    entropy = token_entropy(logits)
    h_resp = response_entropy(entropy, jnp.ones_like(entropy, bool))
    return Batch(tokens, logits, jnp.broadcast_to(advantages.reshape(-1, 1), entropy.shape), h_resp), right


def surrogate_loss(params: dict, model: Transformer, batch: Batch, args: Args, era: bool) -> jax.Array:
    """GRPO's clipped surrogate, averaged over the characters of all responses.

    With token-ERA the logits on both sides of the probability ratio are transformed, so that it starts at 1.
    """
    new, old, advantages = response_logits(model, params, batch.tokens), batch.logits, batch.advantages
    if era:
        mask = jnp.ones_like(advantages, bool)
        transform = functools.partial(token_era, h_resp=batch.h_resp, mask=mask, low=args.low, high=args.high, k=args.k)
        (new, _), (old, advantages) = transform(new, advantages), transform(old, advantages)
    ratio = jnp.exp(log_prob(new, batch.tokens) - log_prob(old, batch.tokens))
    return -jnp.mean(jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - args.clip, 1 + args.clip) * advantages))


def imitate(model: Transformer, args: Args, key: jax.Array) -> dict:
    """The parameters after learning from demonstrations, which are sums of random digits."""
    keys = jax.random.split(key)
    params = model.init(keys[0], prompts(NUMBERS))
    optimizer = optax.adam(5 * args.lr)

    def cross_entropy(params: dict, tokens: jax.Array) -> jax.Array:
        return -jnp.mean(log_prob(response_logits(model, params, tokens), tokens))

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, None]:
        params, state = carry
        tokens = demonstrate(jax.random.randint(key, (128, 3), 0, 10))
        updates, state = optimizer.update(jax.grad(cross_entropy)(params, tokens), state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(keys[1], args.demonstrations))[0][0]


def optimise(model: Transformer, args: Args, era: bool, params: dict, key: jax.Array) -> tuple[dict, dict[str, jax.Array]]:
    """The parameters after GRPO, and three curves over its iterations.

    The curves are the accuracy, the mean response entropy and the share of responses below the lower bound.
    """
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(args.lr))

    def iteration(carry: tuple, key: jax.Array) -> tuple[tuple, dict[str, jax.Array]]:
        params, state = carry
        batch, right = sample(model, args, params, key)

        def update(_: int, carry: tuple) -> tuple:
            params, state = carry
            updates, state = optimizer.update(jax.grad(surrogate_loss)(params, model, batch, args, era), state)
            return optax.apply_updates(params, updates), state

        carry = jax.lax.fori_loop(0, args.epochs, update, (params, state))
        return carry, {"accuracy": right.mean(), "entropy": batch.h_resp.mean(), "below": (batch.h_resp < args.low).mean()}

    start = (params, optimizer.init(params))
    (params, _), curves = jax.lax.scan(iteration, start, jax.random.split(key, args.iterations))
    return params, curves


def evaluate(model: Transformer, params: dict, key: jax.Array) -> dict[str, jax.Array]:
    """Metrics over all numbers, from `SAMPLES` responses to each."""
    tokens = generate(model, params, jnp.repeat(NUMBERS, SAMPLES), key)
    right = grade(tokens).reshape(-1, SAMPLES)
    responses = tokens[:, PROMPT:].reshape(-1, SAMPLES, RESPONSE)
    same = jnp.all(responses[:, :, None] == responses[:, None], -1) & right[:, None]
    first = right & ~jnp.any(jnp.tril(same, -1), -1)  # equal to no earlier right one
    entropy = token_entropy(response_logits(model, params, tokens))
    return {
        "accuracy (%)": 100 * right.mean(),
        f"pass@{SAMPLES} (%)": 100 * right.any(1).mean(),
        f"distinct right sums of {SAMPLES}": first.sum(1).mean(),
        "response entropy (nats)": response_entropy(entropy, jnp.ones_like(entropy, bool)).mean(),
    }


def plot(args: Args, out: pathlib.Path, curves: dict[str, dict[str, np.ndarray]]) -> None:
    """Draws the response entropy and the accuracy over the iterations, of each seed and their mean; writes the picture."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    window = max(1, args.iterations // 40)
    for color, (name, curve) in enumerate(curves.items()):
        for axis, values in zip(axes, (curve["entropy"], 100 * curve["accuracy"]), strict=True):
            smooth = np.array([np.convolve(seed, np.ones(window) / window, "valid") for seed in values])
            iterations = np.arange(smooth.shape[1]) + window // 2
            axis.plot(iterations, smooth.T, color=f"C{color}", alpha=0.25, linewidth=0.8)
            axis.plot(iterations, smooth.mean(0), color=f"C{color}", label=name)
    axes[0].axhline(args.low, color="grey", linestyle=":", label="token-ERA's lower bound")
    axes[0].set(title="response entropy (nats)", xlabel="iterations", ylim=(0, None))
    axes[1].set(title="right samples (%)", xlabel="iterations")
    axes[0].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    write_figure(figure, out, dpi=80)


def compare(args: Args) -> None:
    """Trains with and without token-ERA from the same parameters, and prints the metrics."""
    try:
        check_token_era(args.low, args.high, args.k)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    model = Transformer(args.layers, args.width)
    keys = jax.random.split(jax.random.key(0), (3, args.seeds))

    def for_each_seed(function: Callable) -> Callable:
        return jax.jit(lambda *arguments: jax.lax.map(lambda seed: function(*seed), arguments))

    measure = for_each_seed(functools.partial(evaluate, model))
    start = for_each_seed(functools.partial(imitate, model, args))(keys[0])
    columns, curves = {"demonstrations": measure(start, keys[2])}, {}
    tenth = max(1, args.iterations // 10)
    for name, era in {"GRPO": False, "GRPO, token-ERA": True}.items():
        started = time.perf_counter()
        train = for_each_seed(functools.partial(optimise, model, args, era))
        params, curves[name] = jax.device_get(train(start, keys[1]))
        print(f"{name}: {args.seeds} x {args.iterations} iterations took {time.perf_counter() - started:.0f} s")
        last = {metric: values[:, -tenth:].mean(1) for metric, values in curves[name].items()}
        columns[name] = measure(params, keys[2]) | {
            "response entropy, last tenth (nats)": last["entropy"],
            f"responses below {args.low:g} nats, last tenth (%)": 100 * last["below"],
        }
    table = rich.table.Table("metric", title=f"sums of three digits, {args.seeds} seeds: mean ± std")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for metric in columns["GRPO"]:
        values = (np.asarray(column[metric]) if metric in column else None for column in columns.values())
        table.add_row(metric, *("" if value is None else f"{value.mean():.2f} ± {value.std():.2f}" for value in values))
    rich.console.Console().print(table)
    if args.out is not None:
        plot(args, args.out, curves)


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, compare, "python examples/arithmetic.py", args)


if __name__ == "__main__":
    sys.exit(main())
