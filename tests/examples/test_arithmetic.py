"""The example of token-ERA."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.arithmetic import (
    CHARACTERS,
    RESPONSE,
    Args,
    Writer,
    example,
    grade,
    loss,
    main,
    next_logits,
    prompt,
    sample,
    until_end,
    write,
)

TINY = Args(prompts=3, group=4, layers=2, width=8)
PROBLEMS = jnp.array([2735, 9999, 5, 6040])


def spell(text: jax.Array) -> str:
    return "".join(CHARACTERS[i] for i in np.asarray(text))


def spelled(*texts: str) -> jax.Array:
    return jnp.array([[CHARACTERS.index(character) for character in text.ljust(RESPONSE, ".")] for text in texts])


@pytest.fixture(scope="module")
def writer() -> tuple[Writer, dict]:
    model = Writer(TINY.layers, TINY.width)
    params = model.init(jax.random.key(0), jnp.zeros((1, 2), int))
    return model, jax.tree.map(lambda x: 3 * x, params)  # far from uniform


def test_examples_are_right_and_written_in_all_eight_ways() -> None:
    texts = jax.vmap(lambda key: example(key, PROBLEMS))(jax.random.split(jax.random.key(0), 100))
    ways = {f"27+35={a}{x}{b}{y}062." for a, b in (("t05", "u12"), ("u12", "t05")) for x in ",;" for y in ",;"}
    assert {spell(text) for text in texts[:, 0]} == ways
    assert spell(texts[0, 1])[-4:] == "198."
    for text in texts:
        np.testing.assert_array_equal(grade(PROBLEMS, text[:, 6:]), 1)


def test_only_the_last_three_characters_before_the_full_stop_count() -> None:
    problem = jnp.full(6, 2735)
    response = spelled("062.", "u99,t99,062.", "u12;t05;063.", "62.", "062", "99.062.")
    response = response.at[4].set(spelled("u12;t05;0622")[0])
    np.testing.assert_array_equal(grade(problem, response), [1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(until_end(response).sum(1), [4, 12, 12, 3, 12, 3])


def test_writing_one_by_one_agrees_with_reading_the_whole_text(writer: tuple[Writer, dict]) -> None:
    model, params = writer
    response = write(model, params, PROBLEMS, None)
    assert len(np.unique(response)) > 2
    logits = next_logits(model, params, jnp.concatenate([prompt(PROBLEMS), response], 1))
    np.testing.assert_array_equal(logits.argmax(-1), response)


def test_the_loss_starts_from_the_plain_gradient_of_eq_18(writer: tuple[Writer, dict]) -> None:
    model, params = writer
    batch, reward = sample(model, TINY, PROBLEMS, params, jax.random.key(0))
    assert reward.shape == (3, 4)
    # Every other response was right.
    batch = batch._replace(advantages=jnp.where(jnp.arange(12)[:, None] % 2 == 0, 1.0, -1.0) * jnp.ones((12, RESPONSE)))
    share = (batch.advantages * batch.mask).sum() / batch.mask.sum()
    assert float(loss(params, model, batch, TINY, False)) == pytest.approx(-float(share), abs=1e-5)
    gradient = jax.jit(jax.grad(loss), static_argnums=(1, 3, 4))
    plain = gradient(params, model, batch, TINY, False)

    def farthest(args: Args) -> float:
        change = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), plain, gradient(params, model, batch, args, True))
        return max(map(float, jax.tree.leaves(change)))

    # Nothing is below 0 nats or above 9; everything is below 9.
    assert farthest(Args(low=0.0, high=9.0)) < 1e-6
    assert farthest(Args(low=9.0, high=10.0)) > 1e-3


def test_the_command_prints_and_plots(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curve.png"
    tiny = "--warmup-steps 2 --iterations 3 --prompts 2 --group 2 --layers 1 --width 8 --out".split()
    assert main([*tiny, str(picture)]) == 0
    assert picture.stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "GRPO, token-ERA: 3 iterations took" in printed
    assert "response entropy" in printed


def test_impossible_constants_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--low", "3.5"]) == 2
    assert "increasing from 0, not 3.5 and 3.0" in capsys.readouterr().err
