"""The example of token-ERA."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.arithmetic import (
    CHARACTERS,
    NUMBERS,
    PROMPT,
    RESPONSE,
    Args,
    Batch,
    Transformer,
    demonstrate,
    generate,
    grade,
    log_prob,
    main,
    optimise,
    prompts,
    response_logits,
    sample,
    surrogate_loss,
)


class Unigram:
    """A policy whose parameters are the logits of each position. It ignores what was written before."""

    @staticmethod
    def apply(params: jax.Array, tokens: jax.Array) -> jax.Array:
        return jnp.broadcast_to(params, (len(tokens), *params.shape))


TINY = Args(prompts=6, group=5, iterations=2)
LOGITS = jax.random.normal(jax.random.key(0), (PROMPT + RESPONSE - 1, len(CHARACTERS)))


def spell(*texts: str) -> jax.Array:
    return jnp.array([[CHARACTERS.index(character) for character in text] for text in texts])


def batch_of(tokens: jax.Array, advantages: jax.Array, h_resp: float = 0.3) -> Batch:
    shape = len(tokens), RESPONSE
    logits = response_logits(Unigram, LOGITS, tokens)
    return Batch(tokens, logits, jnp.broadcast_to(advantages, shape), jnp.full(len(tokens), h_resp))


def even(tokens: jax.Array) -> jax.Array:
    """A grader that often rewards a policy which has learned nothing."""
    return tokens[:, PROMPT] % 2 == 0


def test_demonstrations_are_spelled_out_and_right() -> None:
    np.testing.assert_array_equal(demonstrate(jnp.array([[4, 7, 2], [0, 0, 5]])), spell("13=4+7+2", "05=0+0+5"))
    assert grade(demonstrate(jax.random.randint(jax.random.key(0), (100, 3), 0, 10))).all()


def test_only_right_sums_of_three_digits_count() -> None:
    texts = spell("13=7+2+4", "13=7+2+5", "13=4+720", "13=1+2++", "13=+++11", "12=+1+1+", "05=5+0+0")
    np.testing.assert_array_equal(grade(texts), [True, False, False, False, False, False, True])


def test_generation_agrees_with_reading_the_whole_text() -> None:
    model = Transformer(layers=2, width=8)
    params = jax.jit(model.init)(jax.random.key(0), prompts(NUMBERS))
    params = jax.tree.map(lambda x: 3 * x, params)
    # The policy becomes so certain that every sample is its likeliest character.
    params["params"]["head"] = jax.tree.map(lambda x: 1e4 * x, params["params"]["head"])
    tokens = jax.jit(generate, static_argnums=0)(model, params, NUMBERS, jax.random.key(0))
    np.testing.assert_array_equal(tokens[:, :PROMPT], prompts(NUMBERS))
    assert len(np.unique(tokens[:, PROMPT:], axis=0)) > 2
    logits = jax.jit(response_logits, static_argnums=0)(model, params, tokens)
    np.testing.assert_array_equal(logits.argmax(-1), tokens[:, PROMPT:])


def test_samples_follow_the_policy() -> None:
    tokens = generate(Unigram, LOGITS, jnp.full(4000, 13), jax.random.key(1))
    frequencies = jnp.mean(jax.nn.one_hot(tokens[:, PROMPT:], len(CHARACTERS)), 0)
    np.testing.assert_allclose(frequencies, jax.nn.softmax(LOGITS)[PROMPT - 1 :], atol=0.03)


@pytest.mark.parametrize("errors", [0.0, 1.0])
def test_advantages_are_relative_to_the_group(errors: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.arithmetic.grade", even)
    args = dataclasses.replace(TINY, grader_errors=errors)
    batch, right = sample(Unigram, args, LOGITS, jax.random.key(0))
    np.testing.assert_array_equal(right, even(batch.tokens))
    groups, rewarded = batch.advantages[:, 0].reshape(6, 5), (right != (errors == 1)).reshape(6, 5)
    np.testing.assert_array_equal(np.ptp(batch.tokens[:, :PROMPT].reshape(6, 5, PROMPT), axis=1), 0)
    np.testing.assert_allclose(groups.mean(1), 0, atol=1e-5)
    mixed = rewarded.any(1) & ~rewarded.all(1)
    assert mixed.any()
    np.testing.assert_array_equal(groups[mixed] > 0, rewarded[mixed])
    np.testing.assert_allclose(groups[mixed].std(1), 1, atol=1e-3)
    entropy = -jnp.sum(jax.nn.softmax(LOGITS) * jax.nn.log_softmax(LOGITS), -1)
    np.testing.assert_allclose(batch.h_resp, entropy[PROMPT - 1 :].max(), rtol=1e-5)  # of five characters, a fifth is one


@pytest.mark.parametrize(("h_resp", "era", "k"), [(0.3, False, 1), (0.5, True, 1), (0.3, True, 2), (3.1, True, 0.5)])
def test_the_loss_starts_with_the_gradient_of_eq_18(h_resp: float, era: bool, k: float) -> None:
    tokens = demonstrate(jax.random.randint(jax.random.key(0), (20, 3), 0, 10))
    advantages = jnp.where(jnp.arange(20)[:, None] % 2 == 0, 1.0, -0.5)

    def expected(params: jax.Array) -> jax.Array:
        logits = response_logits(Unigram, params, tokens)
        weighted = jnp.where(advantages > 0, log_prob(k * logits, tokens) / k, log_prob(logits, tokens)) * advantages
        return -jnp.mean(weighted)

    gradient = jax.grad(surrogate_loss)(LOGITS, Unigram, batch_of(tokens, advantages, h_resp), TINY, era)
    np.testing.assert_allclose(gradient, jax.grad(expected)(LOGITS), atol=1e-6)


@pytest.mark.parametrize(
    ("advantage", "change", "clipped"),
    [
        (1.0, 1.25, True),
        (1.0, 1.15, False),
        (1.0, 0.75, False),
        (-1.0, 0.75, True),
        (-1.0, 0.85, False),
        (-1.0, 1.25, False),
    ],
)
def test_the_probability_ratio_is_clipped(advantage: float, change: float, clipped: bool) -> None:
    tokens = demonstrate(jnp.array([[1, 2, 3]]))
    batch = batch_of(tokens, jnp.array(advantage))
    # Logits of a policy that sampled the same characters with 1 / change of the probability.
    p = jax.nn.softmax(batch.logits) * jax.nn.one_hot(tokens[:, PROMPT:], len(CHARACTERS)) / change
    others = (1 - p.sum(-1, keepdims=True)) / (len(CHARACTERS) - 1)
    batch = batch._replace(logits=jnp.log(jnp.where(p > 0, p, others)))
    gradient = jax.grad(surrogate_loss)(LOGITS, Unigram, batch, TINY, False)
    assert bool((gradient == 0).all()) == clipped


def test_token_era_reaches_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.arithmetic.grade", even)

    def trained(low: float, era: bool) -> jax.Array:
        params, curves = optimise(Unigram, dataclasses.replace(TINY, low=low), era, LOGITS, jax.random.key(0))
        np.testing.assert_array_equal(curves["below"], low > 1)
        return params

    plain = trained(0.0, False)
    assert jnp.abs(plain - LOGITS).max() > 1e-4
    np.testing.assert_array_equal(trained(0.0, True), plain)  # no response is below 0 nats
    assert jnp.abs(trained(2.9, True) - plain).max() > 1e-4  # all are below 2.9


def test_the_command_prints_and_plots(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curve.png"
    tiny = {"demonstrations": 2, "iterations": 3, "prompts": 2, "group": 2, "width": 8, "seeds": 2, "out": picture}
    assert main([f"--{name}={value}" for name, value in tiny.items()]) == 0
    assert picture.stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "GRPO, token-ERA: 2 x 3 iterations took" in printed
    assert "response entropy" in printed


def test_impossible_constants_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--low", "3.5"]) == 2
    assert "increasing from 0, not 3.5 and 3.0" in capsys.readouterr().err
