"""Token-ERA: group-relative policy optimisation of a tiny language model that adds, with and without it.

A character-level transformer is first taught by examples, briefly, to add two numbers column by column,
``27+35=u12;t05;062.``, and then rewarded for the right sum alone. As in a natural language the same can be said in several
ways: units or tens first, and a comma or a semicolon, twice. Plain policy optimisation forgets all ways but one; token-ERA
keeps the choice open. Run it with ``python examples/arithmetic.py --out arithmetic.png``.
"""

import dataclasses
import functools
import pathlib
import sys
import time
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import rich.console
import rich.table

from eval.command import run_command
from mjx_tecrl.era import check_token_era, response_entropy, token_entropy, token_era
from train.errors import UserError

CHARACTERS = "0123456789+=tu;,."
PLUS, EQUALS, TENS, SEPARATORS, END = 10, 11, 12, (14, 15), 16
PROMPT, RESPONSE = 6, 12  # characters of "27+35=", and of "u12;t05;062."
LENGTH = PROMPT + RESPONSE
TEST_PROBLEMS, ATTEMPTS = 500, 8
"""problems that are kept from training, and samples of each"""

FIGURES = (
    "right, the likeliest response (%)",
    "right, a sampled response (%)",
    f"right, at least one of {ATTEMPTS} samples (%)",
    f"different right responses among {ATTEMPTS} samples",
)
"""what is measured on the test problems"""


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare policy optimisation of a tiny language model with and without token-ERA."""

    low: float = 0.45
    """response entropy below which token-ERA sharpens the loss's logits (nats)"""
    high: float = 3.0
    """response entropy above which it softens them (nats)"""
    k: float = 2.0
    """how much sharper or softer"""
    warmup_steps: int = 180
    """supervised steps before"""
    iterations: int = 400
    """of policy optimisation: sample, then update"""
    prompts: int = 16
    """problems per iteration"""
    group: int = 8
    """responses per problem"""
    epochs: int = 2
    """gradient steps per iteration"""
    lr: float = 3e-4
    """Adam step size of policy optimisation; ten times as much for the supervised steps"""
    clip: float = 0.2
    """how far from 1 the probability ratio may go"""
    layers: int = 2
    """blocks of the transformer"""
    width: int = 64
    """of the transformer, a multiple of 4"""
    seed: int = 0
    """of the network, the problems and the samples"""
    out: pathlib.Path | None = None
    """picture to write (.png, .svg or .pdf)"""


class Writer(nn.Module):
    """A causal transformer ``[b, t]`` characters -> ``[b, t, 17]`` logits of the next one.

    Attributes:
      layers: attention and feed-forward blocks.
      width: of the residual stream.
      one_by_one: read one character per call, and keep what is needed of the earlier ones in the collection "cache".
    """

    layers: int
    width: int
    one_by_one: bool = False

    @nn.compact
    def __call__(self, tokens: jax.Array, first: int | jax.Array = 0) -> jax.Array:
        """``first`` is the place of the first of these characters in the text."""
        places = self.param("places", nn.initializers.normal(0.02), (LENGTH, self.width))
        x = nn.Embed(len(CHARACTERS), self.width)(tokens)
        x += jax.lax.dynamic_slice_in_dim(places, first, tokens.shape[1])
        mask = None if self.one_by_one else nn.make_causal_mask(tokens)
        for _ in range(self.layers):
            x += nn.MultiHeadDotProductAttention(num_heads=4, decode=self.one_by_one)(nn.LayerNorm()(x), mask=mask)
            x += nn.Dense(self.width)(nn.gelu(nn.Dense(2 * self.width)(nn.LayerNorm()(x))))
        return nn.Dense(len(CHARACTERS))(nn.LayerNorm()(x))


class Batch(NamedTuple):
    """What the loss reads of the sampled texts.

    Attributes:
      tokens: ``[b, LENGTH]`` characters of the whole texts.
      mask: ``[b, RESPONSE]`` False after the full stop.
      logits: ``[b, RESPONSE, 17]`` of the policy that sampled.
      advantages: ``[b, RESPONSE]`` relative to the group, the same for each character.
      h_resp: ``[b]`` response entropy, nats.
    """

    tokens: jax.Array
    mask: jax.Array
    logits: jax.Array
    advantages: jax.Array
    h_resp: jax.Array


def digits(number: jax.Array, width: int) -> jax.Array:
    """``[...]`` numbers -> ``[..., width]`` characters, with leading zeros."""
    return number[..., None] // 10 ** jnp.arange(width - 1, -1, -1) % 10


def prompt(problem: jax.Array) -> jax.Array:
    """``[b]`` numbers abcd -> ``[b, PROMPT]`` characters ``ab+cd=``."""
    text = digits(problem, 4)
    plus, equals = (jnp.full_like(text[:, :1], character) for character in (PLUS, EQUALS))
    return jnp.concatenate([text[:, :2], plus, text[:, 2:], equals], 1)


def example(key: jax.Array, problem: jax.Array) -> jax.Array:
    """A right text for each problem, written in a random one of the eight ways: ``[b, LENGTH]``."""
    keys = jax.random.split(key)
    text = digits(problem, 4)
    column = jax.random.bernoulli(keys[0], shape=(len(problem),)).astype(int)  # 0: tens first, 1: units first
    columns = jnp.stack([column, 1 - column], 1)
    sums = jnp.take_along_axis(digits(text[:, :2] + text[:, 2:], 2), columns[:, :, None], 1)
    separators = jax.random.choice(keys[1], jnp.array(SEPARATORS), (len(problem), 2))
    parts = jnp.concatenate([TENS + columns[:, :, None], sums, separators[:, :, None]], 2).reshape(len(problem), -1)
    total = digits(problem // 100 + problem % 100, 3)
    return jnp.concatenate([prompt(problem), parts, total, jnp.full_like(total[:, :1], END)], 1)


def grade(problem: jax.Array, response: jax.Array) -> jax.Array:
    """1 where the last three characters before the first full stop are the sum, else 0: ``[b]``."""
    end = jnp.argmax(response == END, 1)
    answer = jnp.take_along_axis(response, jnp.maximum(end[:, None] + jnp.arange(-3, 0), 0), 1)
    right = jnp.all(answer == digits(problem // 100 + problem % 100, 3), 1)
    return (right & (end >= 3)).astype(jnp.float32)


def until_end(response: jax.Array) -> jax.Array:
    """True up to the first full stop, and at it: ``[b, RESPONSE]``."""
    ended = jnp.cumsum(response == END, 1)
    return ended - (response == END) == 0


def write(model: Writer, params: dict, problem: jax.Array, key: jax.Array | None) -> jax.Array:
    """Responses ``[b, RESPONSE]``, sampled, or without a key the likeliest character at a time."""
    model = dataclasses.replace(model, one_by_one=True)
    text = jnp.pad(prompt(problem), ((0, 0), (0, RESPONSE)))

    def step(carry: tuple, place: jax.Array) -> tuple[tuple, None]:
        text, cache = carry
        read = jax.lax.dynamic_slice_in_dim(text, place, 1, 1)
        logits, cache = model.apply(params | cache, read, place, mutable="cache")
        logits = logits[:, 0]
        token = jnp.argmax(logits, -1) if key is None else jax.random.categorical(jax.random.fold_in(key, place), logits)
        token = jnp.where(place + 1 < PROMPT, text[:, place + 1], token)
        return (text.at[:, place + 1].set(token), cache), None

    cache = {"cache": model.init(jax.random.key(0), text)["cache"]}  # zeros
    return jax.lax.scan(step, (text, cache), jnp.arange(LENGTH - 1))[0][0][:, PROMPT:]


def next_logits(model: Writer, params: dict, tokens: jax.Array) -> jax.Array:
    """Logits of each character of the response, ``[b, RESPONSE, 17]``."""
    return model.apply(params, tokens[:, :-1])[:, PROMPT - 1 :]


def log_prob(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log-probability of each character of the response, ``[b, RESPONSE]``."""
    return -optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, PROMPT:])


def loss(params: dict, model: Writer, batch: Batch, args: Args, era: bool) -> jax.Array:
    """GRPO's clipped surrogate, averaged over the characters of all responses.

    With token-ERA the logits on both sides of the probability ratio are transformed, so that it starts at 1.
    """
    new, old, advantages = next_logits(model, params, batch.tokens), batch.logits, batch.advantages
    if era:
        activate = functools.partial(token_era, h_resp=batch.h_resp, mask=batch.mask, low=args.low, high=args.high, k=args.k)
        (new, scaled), (old, _) = activate(new, advantages), activate(old, advantages)
        advantages = scaled
    ratio = jnp.exp(log_prob(new, batch.tokens) - log_prob(old, batch.tokens))
    gain = jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - args.clip, 1 + args.clip) * advantages)
    return -jnp.sum(jnp.where(batch.mask, gain, 0)) / jnp.sum(batch.mask)


def warm_up(model: Writer, args: Args, problems: jax.Array, key: jax.Array) -> dict:
    """Parameters after the supervised steps."""
    keys = jax.random.split(key)
    params = model.init(keys[0], jnp.zeros((1, 2), int))
    optimizer = optax.adam(10 * args.lr)

    def cross_entropy(params: dict, tokens: jax.Array) -> jax.Array:
        mask = until_end(tokens[:, PROMPT:])
        return -jnp.sum(jnp.where(mask, log_prob(next_logits(model, params, tokens), tokens), 0)) / jnp.sum(mask)

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        params, state = carry
        keys = jax.random.split(key)
        tokens = example(keys[0], jax.random.choice(keys[1], problems, (128,)))
        value, gradient = jax.value_and_grad(cross_entropy)(params, tokens)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), value

    return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(keys[1], args.warmup_steps))[0][0]


def sample(model: Writer, args: Args, problems: jax.Array, params: dict, key: jax.Array) -> tuple[Batch, jax.Array]:
    """A group of responses to each of some problems, and the rewards ``[prompts, group]``."""
    keys = jax.random.split(key)
    problem = jnp.repeat(jax.random.choice(keys[0], problems, (args.prompts,)), args.group)
    response = write(model, params, problem, keys[1])
    reward = grade(problem, response).reshape(args.prompts, args.group)
    advantage = (reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-4)
    tokens, mask = jnp.concatenate([prompt(problem), response], 1), until_end(response)
    logits = next_logits(model, params, tokens)
    h_resp = response_entropy(token_entropy(logits), mask)
    return Batch(tokens, mask, logits, jnp.broadcast_to(advantage.reshape(-1, 1), mask.shape), h_resp), reward


def optimise(
    model: Writer, args: Args, era: bool, problems: jax.Array, params: dict, key: jax.Array
) -> tuple[dict, dict[str, jax.Array]]:
    """Parameters after policy optimisation, and of each iteration the share of right samples and the mean H_resp."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(args.lr))

    def iteration(carry: tuple, key: jax.Array) -> tuple[tuple, dict[str, jax.Array]]:
        params, state = carry
        batch, reward = sample(model, args, problems, params, key)
        for _ in range(args.epochs):
            gradient = jax.grad(loss)(params, model, batch, args, era)
            updates, state = optimizer.update(gradient, state)
            params = optax.apply_updates(params, updates)
        return (params, state), {"right": reward.mean(), "entropy": batch.h_resp.mean()}

    start = (params, optimizer.init(params))
    (params, _), metrics = jax.lax.scan(iteration, start, jax.random.split(key, args.iterations))
    return params, metrics


def test(model: Writer, problems: jax.Array, params: dict, key: jax.Array) -> dict[str, float]:
    """`FIGURES`."""
    likeliest = grade(problems, write(model, params, problems, None))
    repeated = jnp.repeat(problems, ATTEMPTS)
    response = write(model, params, repeated, key)
    right = grade(repeated, response).reshape(-1, ATTEMPTS) == 1
    texts = jnp.where(until_end(response), response, END).reshape(-1, ATTEMPTS, RESPONSE)
    same = jnp.all(texts[:, :, None] == texts[:, None], -1) & right[:, None]
    first = right & ~jnp.any(jnp.tril(same, -1), -1)  # equal to no earlier right one
    values = (100 * likeliest.mean(), 100 * right.mean(), 100 * right.any(1).mean(), first.sum(1).mean())
    return dict(zip(FIGURES, values, strict=True))


def plot(args: Args, runs: dict[str, dict[str, np.ndarray]]) -> None:
    """Writes the response entropy and the accuracy of the samples over the iterations."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name, metrics in runs.items():
        window = max(1, args.iterations // 40)
        share = np.convolve(metrics["right"], np.ones(window) / window, "valid")
        axes[0].plot(metrics["entropy"], label=name)
        axes[1].plot(np.arange(len(share)) + window // 2, 100 * share, label=name)
    axes[0].axhline(args.low, color="grey", linestyle=":", label="lower bound of token-ERA")
    axes[0].set(title="response entropy (nats)", xlabel="iterations", ylim=(0, None))
    axes[1].set(title="right samples (%), moving average", xlabel="iterations")
    axes[0].legend()
    for axis in axes:
        axis.grid(alpha=0.3)
    try:
        figure.savefig(args.out, dpi=80)
    except (OSError, ValueError) as error:
        raise UserError(f"{args.out} cannot be written: {error}.") from error
    finally:
        pyplot.close(figure)
    print(f"wrote {args.out}")


def compare(args: Args) -> None:
    """Trains twice from the same start and prints what came of it."""
    try:
        check_token_era(args.low, args.high, args.k)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    keys = jax.random.split(jax.random.key(args.seed), 4)
    tested, problems = jnp.split(jax.random.permutation(keys[0], 10_000), [TEST_PROBLEMS])
    model = Writer(args.layers, args.width)
    measure = jax.jit(functools.partial(test, model, tested))
    params = jax.jit(functools.partial(warm_up, model, args))(problems, keys[1])
    columns, runs = {"after warm-up": measure(params, keys[2])}, {}
    for name, era in {"GRPO": False, "GRPO, token-ERA": True}.items():
        started = time.perf_counter()
        trained, metrics = jax.jit(functools.partial(optimise, model, args, era))(problems, params, keys[3])
        columns[name], runs[name] = measure(trained, keys[2]), jax.device_get(metrics)
        print(f"{name}: {args.iterations} iterations took {time.perf_counter() - started:.0f} s")
    table = rich.table.Table("figure", title="additions of two-digit numbers")
    for name in columns:
        table.add_column(name, justify="right")
    for figure in FIGURES:
        table.add_row(figure, *(f"{column[figure]:.1f}" for column in columns.values()))
    table.add_section()
    tenth = max(1, args.iterations // 10)
    for figure, value in {
        "response entropy, first iteration (nats)": lambda entropy: entropy[0],
        "response entropy, last tenth (nats)": lambda entropy: entropy[-tenth:].mean(),
        "response entropy, lowest (nats)": lambda entropy: entropy.min(),
    }.items():
        table.add_row(figure, "", *(f"{value(run['entropy']):.3f}" for run in runs.values()))
    rich.console.Console().print(table)
    if args.out is not None:
        plot(args, runs)


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return run_command(Args, compare, "python examples/arithmetic.py", args)


if __name__ == "__main__":
    sys.exit(main())
