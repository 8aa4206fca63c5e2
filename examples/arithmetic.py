"""Token-ERA: group-relative policy optimisation of a tiny language model that adds, with and without it.

A character-level recurrent network is first taught by examples, briefly, to add two numbers on paper:
``27+35=7+5=12;2+3=05;062.`` Then it is rewarded for the right sum alone. As in natural language there are several right ways
to write the same: units or tens first, and two separators. Plain policy optimisation ends up with one of them; token-ERA
keeps the choice open. Run it with ``python examples/arithmetic.py --out curve.png``.
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
import numpy as np
import optax
import rich.console
import rich.table
import tyro

from mjx_tecrl.era import check_token_era, response_entropy, token_entropy, token_era

CHARACTERS = "0123456789+=;,."
PLUS, EQUALS, SEPARATORS, END = 10, 11, (12, 13), 14
PROMPT, RESPONSE = 6, 20  # characters of "27+35=", and room for the 18 of "7+5=12;2+3=05;062."
TEST_PROBLEMS = 1000


@dataclasses.dataclass(frozen=True)
class Args:
    """Compare policy optimisation of a tiny language model with and without token-ERA."""

    low: float = 0.45
    """token-ERA sharpens the loss's logits below this response entropy (nats)"""
    high: float = 3.0
    """and softens them above this one (nats)"""
    k: float = 2.0
    """by this factor"""
    warmup_steps: int = 1000
    """supervised steps before"""
    iterations: int = 300
    """of policy optimisation: sample, then update"""
    prompts: int = 32
    """problems per iteration"""
    group: int = 8
    """responses per problem"""
    epochs: int = 2
    """gradient steps per iteration"""
    lr: float = 1e-3
    """Adam step size of policy optimisation; the supervised steps use 3e-3"""
    clip: float = 0.2
    """how far from 1 the probability ratio may go"""
    hidden: int = 128
    """width of the network"""
    seeds: int = 1
    """independent repetitions"""
    out: pathlib.Path | None = None
    """picture to write (.png, .svg or .pdf)"""


class Writer(nn.Module):
    """A recurrent language model ``[..., t]`` characters -> ``[..., t, 15]`` logits of the next one.

    Attributes:
      hidden: width of the recurrent layer.
    """

    hidden: int

    def setup(self) -> None:
        self.embed = nn.Embed(len(CHARACTERS), self.hidden)
        self.cell = nn.GRUCell(self.hidden)
        self.rnn = nn.RNN(self.cell)
        self.head = nn.Dense(len(CHARACTERS))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        return self.head(self.rnn(self.embed(tokens)))

    def step(self, carry: jax.Array, token: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry, output = self.cell(carry, self.embed(token))
        return carry, self.head(output)


class Batch(NamedTuple):
    """What the loss reads: whole texts, and of each response's characters the mask, the log-probability before, ..."""

    tokens: jax.Array  # [b, PROMPT + RESPONSE]
    mask: jax.Array  # [b, RESPONSE], False after the end
    advantages: jax.Array  # [b, RESPONSE]
    h_resp: jax.Array  # [b]


def digits(number: jax.Array, width: int) -> jax.Array:
    """``[...]`` numbers -> ``[..., width]`` characters, with leading zeros."""
    return number[..., None] // 10 ** jnp.arange(width - 1, -1, -1) % 10


def prompt(problem: jax.Array) -> jax.Array:
    """``[b]`` numbers abcd -> ``[b, PROMPT]`` characters ``ab+cd=``."""
    text = digits(problem, 4)
    plus, equals = (jnp.full_like(text[:, :1], character) for character in (PLUS, EQUALS))
    return jnp.concatenate([text[:, :2], plus, text[:, 2:], equals], 1)


def example(key: jax.Array, problem: jax.Array) -> jax.Array:
    """A right text for each problem, written in a random one of the eight ways: ``[b, PROMPT + RESPONSE]``."""
    keys = jax.random.split(key)
    text = digits(problem, 4)
    tens, units = text[:, 0::2], text[:, 1::2]
    swap = jax.random.bernoulli(keys[0], shape=(len(problem), 1))
    first, second = jnp.where(swap, tens, units), jnp.where(swap, units, tens)
    separators = jax.random.choice(keys[1], jnp.array(SEPARATORS), (len(problem), 2))
    plus, equals, end = (jnp.full_like(separators[:, :1], character) for character in (PLUS, EQUALS, END))

    def partial(pair: jax.Array) -> list[jax.Array]:
        return [pair[:, :1], plus, pair[:, 1:], equals, digits(pair.sum(1), 2)]

    total = digits(problem // 100 + problem % 100, 3)
    parts = [*partial(first), separators[:, :1], *partial(second), separators[:, 1:], total, end]
    text = jnp.concatenate([prompt(problem), *parts], 1)
    return jnp.pad(text, ((0, 0), (0, PROMPT + RESPONSE - text.shape[1])), constant_values=END)


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

    def step(carry: tuple, key: jax.Array | None) -> tuple[tuple, jax.Array]:
        state, logits = carry
        token = jnp.argmax(logits, -1) if key is None else jax.random.categorical(key, logits)
        return model.apply(params, state, token, method="step"), token

    state = jnp.zeros((len(problem), model.hidden))
    for token in prompt(problem).T:
        state, logits = model.apply(params, state, token, method="step")
    keys = None if key is None else jax.random.split(key, RESPONSE)
    return jax.lax.scan(step, (state, logits), keys, RESPONSE)[1].T


def next_logits(model: Writer, params: dict, tokens: jax.Array) -> jax.Array:
    """Logits of each character of the response, ``[b, RESPONSE, 15]``."""
    return model.apply(params, tokens[:, :-1])[:, PROMPT - 1 :]


def log_prob(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log-probability of each character of the response, ``[b, RESPONSE]``."""
    return -optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, PROMPT:])


def loss(params: dict, model: Writer, batch: Batch, old: jax.Array, args: Args, era: bool) -> jax.Array:
    """Clipped surrogate, averaged over the characters of all responses; ``old`` are the sampling policy's logits."""
    logits, advantages = next_logits(model, params, batch.tokens), batch.advantages
    if era:
        bounds = {"low": args.low, "high": args.high, "k": args.k}
        logits, scaled = token_era(logits, advantages, batch.h_resp, batch.mask, **bounds)
        old, advantages = token_era(old, advantages, batch.h_resp, batch.mask, **bounds)[0], scaled
    ratio = jnp.exp(log_prob(logits, batch.tokens) - log_prob(old, batch.tokens))
    gain = jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - args.clip, 1 + args.clip) * advantages)
    return -jnp.sum(jnp.where(batch.mask, gain, 0)) / jnp.sum(batch.mask)


def warm_up(model: Writer, args: Args, train: jax.Array, key: jax.Array) -> dict:
    """Parameters after the supervised steps."""
    keys = jax.random.split(key)
    params = model.init(keys[0], jnp.zeros((1, 2), int))
    optimizer = optax.adam(3e-3)

    def cross_entropy(params: dict, tokens: jax.Array) -> jax.Array:
        mask = until_end(tokens[:, PROMPT:])
        return -jnp.sum(jnp.where(mask, log_prob(next_logits(model, params, tokens), tokens), 0)) / jnp.sum(mask)

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        params, state = carry
        keys = jax.random.split(key)
        tokens = example(keys[0], jax.random.choice(keys[1], train, (128,)))
        value, gradient = jax.value_and_grad(cross_entropy)(params, tokens)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), value

    return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(keys[1], args.warmup_steps))[0][0]


def optimise(
    model: Writer, args: Args, train: jax.Array, params: dict, key: jax.Array, era: bool
) -> tuple[dict, dict[str, jax.Array]]:
    """Parameters after policy optimisation, and per iteration the share of right samples and the mean H_resp."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(args.lr))

    def iteration(carry: tuple, key: jax.Array) -> tuple[tuple, dict[str, jax.Array]]:
        params, state = carry
        keys = jax.random.split(key)
        problem = jnp.repeat(jax.random.choice(keys[0], train, (args.prompts,)), args.group)
        response = write(model, params, problem, keys[1])
        reward = grade(problem, response).reshape(args.prompts, args.group)
        advantage = (reward - reward.mean(1, keepdims=True)) / (reward.std(1, keepdims=True) + 1e-4)
        tokens, mask = jnp.concatenate([prompt(problem), response], 1), until_end(response)
        old = next_logits(model, params, tokens)
        h_resp = response_entropy(token_entropy(old), mask)
        batch = Batch(tokens, mask, jnp.broadcast_to(advantage.reshape(-1, 1), mask.shape), h_resp)
        for _ in range(args.epochs):
            gradient = jax.grad(loss)(params, model, batch, old, args, era)
            updates, state = optimizer.update(gradient, state)
            params = optax.apply_updates(params, updates)
        return (params, state), {"right": reward.mean(), "entropy": h_resp.mean()}

    (params, _), metrics = jax.lax.scan(
        iteration, (params, optimizer.init(params)), jax.random.split(key, args.iterations)
    )
    return params, metrics
