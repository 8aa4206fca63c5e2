"""The emulation of coarser matrix products."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import precision
from benchmarks.precision import MANTISSA_BITS, Args, main, rounded_products
from benchmarks.report import read_sections


@pytest.mark.parametrize(("name", "kept"), [("float32", 20), ("tensorfloat32", 10), ("bfloat16", 7)])
def test_operands_are_rounded_forwards_and_backwards(name: str, kept: int) -> None:
    # 1 + 2^-kept survives the rounding. 1 + 2^-(kept + 3) does not, except in float32.
    fine = np.float32(1 + 2.0**-kept)
    finer = np.float32(1 + 2.0 ** -(kept + 3))
    with rounded_products(MANTISSA_BITS[name]):
        value, slope = jax.jit(jax.value_and_grad(lambda x, y: (x @ y).sum()))(
            jnp.full((1, 1), finer), jnp.full((1, 1), fine)
        )
    rounded = finer if name == "float32" else np.float32(1)
    assert float(value) == pytest.approx(float(rounded * fine), abs=2e-7)
    assert float(slope[0, 0]) == fine
    # Outside of the block nothing is rounded.
    assert float(jax.jit(jnp.matmul)(jnp.full((1, 1), finer), jnp.ones((1, 1)))[0, 0]) == finer


def test_it_trains_once_with_each(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(args: Args, folder: str) -> list[float]:
        trained.append(float(jax.jit(jnp.matmul)(jnp.full((1, 1), 1 + 2.0**-9), jnp.ones((1, 1)))[0, 0]))
        return [float(len(trained))]

    monkeypatch.setattr(precision, "_train", train)
    main(Args(json=tmp_path / "out.json"))
    assert trained == [1 + 2.0**-9, 1 + 2.0**-9, 1.0]
    rows = read_sections(tmp_path / "out.json")["sac on inverted_double_pendulum"]["rows"]
    returns = {row["precision"]: row["returns"] for row in rows}
    assert returns == {"float32": [1.0], "tensorfloat32": [2.0], "bfloat16": [3.0]}
