"""The example of token-ERA."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.arithmetic import (
    CHARACTERS,
    NUMBERS,
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

TINY = Args(prompts=3, group=4, iterations=2, width=8, grader_errors=0.0)
MODEL = Transformer(TINY.layers, TINY.width)
written = jax.jit(generate, static_argnums=0)
read = jax.jit(response_logits, static_argnums=0)
gradient = jax.jit(jax.grad(surrogate_loss), static_argnums=(1, 3, 4))


def spell(*texts: str) -> jax.Array:
    return jnp.array([[CHARACTERS.index(character) for character in text] for text in texts])


@pytest.fixture(scope="module")
def params() -> dict:
    # Far from uniform.
    return jax.tree.map(lambda x: 3 * x, jax.jit(MODEL.init)(jax.random.key(0), prompts(NUMBERS)))


def batch_of(params: dict, tokens: jax.Array, advantages: jax.Array, h_resp: float = 0.3) -> Batch:
    shape = len(tokens), RESPONSE
    return Batch(tokens, read(MODEL, params, tokens), jnp.broadcast_to(advantages, shape), jnp.full(len(tokens), h_resp))


def test_demonstrations_are_spelled_out_and_right() -> None:
    np.testing.assert_array_equal(demonstrate(jnp.array([[4, 7, 2], [0, 0, 5]])), spell("13=4+7+2", "05=0+0+5"))
    assert grade(demonstrate(jax.random.randint(jax.random.key(0), (100, 3), 0, 10))).all()


def test_only_right_sums_of_three_digits_count() -> None:
    texts = spell("13=7+2+4", "13=7+2+5", "13=4+720", "13=1+2++", "13=+++11", "12=+1+1+", "05=5+0+0")
    np.testing.assert_array_equal(grade(texts), [True, False, False, False, False, False, True])


def test_generation_agrees_with_reading_the_whole_text(params: dict) -> None:
    tokens = written(MODEL, params, NUMBERS, None)
    assert len(np.unique(tokens[:, 3:])) > 2
    np.testing.assert_array_equal(tokens[:, :3], prompts(NUMBERS))
    np.testing.assert_array_equal(read(MODEL, params, tokens).argmax(-1), tokens[:, 3:])
    sampled = written(MODEL, params, jnp.full(2000, 13), jax.random.key(1))
    p = jax.nn.softmax(read(MODEL, params, sampled)[0, 0])
    np.testing.assert_allclose(jnp.mean(jax.nn.one_hot(sampled[:, 3], len(CHARACTERS)), 0), p, atol=0.05)


@pytest.mark.parametrize("errors", [0.0, 1.0])
def test_advantages_are_relative_to_the_group(params: dict, errors: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every response counts as right that begins with a small digit, so that groups are mixed.
    monkeypatch.setattr("examples.arithmetic.grade", lambda tokens: tokens[:, 3] < 5)
    args = Args(prompts=6, group=5, grader_errors=errors)
    batch, right = jax.jit(sample, static_argnums=(0, 1))(MODEL, args, params, jax.random.key(0))
    np.testing.assert_array_equal(right, batch.tokens[:, 3] < 5)
    groups, rewarded = batch.advantages[:, 0].reshape(6, 5), (right != (errors == 1)).reshape(6, 5)
    np.testing.assert_array_equal(batch.tokens[:, 0].reshape(6, 5).std(1), 0)
    np.testing.assert_allclose(groups.mean(1), 0, atol=1e-5)
    mixed = rewarded.any(1) & ~rewarded.all(1)
    assert mixed.any()
    np.testing.assert_array_equal(groups[mixed] > 0, rewarded[mixed])
    np.testing.assert_allclose(groups[mixed].std(1), 1, atol=1e-3)


def test_the_loss_starts_with_the_gradient_of_eq_18(params: dict) -> None:
    tokens = written(MODEL, params, NUMBERS, jax.random.key(0))
    advantages = jnp.where(jnp.arange(len(tokens))[:, None] % 2 == 0, 1.0, -0.5)

    def expected(params: dict, k: float) -> jax.Array:
        logits = response_logits(MODEL, params, tokens)
        sharpened = log_prob(k * logits, tokens) / k
        return -jnp.mean(jnp.where(advantages > 0, sharpened, log_prob(logits, tokens)) * advantages)

    plain = jax.jit(jax.grad(expected))
    for h_resp, era, k in ((0.3, False, 1.0), (0.5, True, 1.0), (0.3, True, 2.0), (3.1, True, 0.5)):
        found = gradient(params, MODEL, batch_of(params, tokens, advantages, h_resp), TINY, era)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, plain(params, k))


@pytest.mark.parametrize(("advantage", "shift", "clipped"), [(1.0, 9.0, True), (1.0, -9.0, False), (-1.0, -9.0, True)])
def test_the_ratio_is_clipped(params: dict, advantage: float, shift: float, clipped: bool) -> None:
    params = jax.tree.map(lambda x: x / 3, params)
    tokens = written(MODEL, params, NUMBERS, jax.random.key(0))
    batch = batch_of(params, tokens, jnp.array(advantage))
    # The sampled characters have become likelier since, or less likely.
    batch = batch._replace(logits=batch.logits - shift * jax.nn.one_hot(tokens[:, 3:], len(CHARACTERS)))
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient(params, MODEL, batch, TINY, False)))
    assert (largest == 0) == clipped


def test_token_era_reaches_the_training(params: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.arithmetic.grade", lambda tokens: tokens[:, 3] < 5)

    def trained(low: float, era: bool) -> np.ndarray:
        args = Args(prompts=3, group=4, iterations=2, width=8, low=low)
        train = jax.jit(optimise, static_argnums=(0, 1, 2))
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(train(MODEL, args, era, params, jax.random.key(0))[0])])

    plain = trained(2.9, False)
    np.testing.assert_array_equal(trained(0.0, True), plain)  # no response is below 0 nats
    assert np.abs(trained(2.9, True) - plain).max() > 1e-4  # all are below 2.9


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
