"""Settings of JAX that users have in their environment."""

import pathlib

import jax
import pytest

import envs
from envs.command import UserError
from tests.runs import quiet, tiny_config
from train.loop import train


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jax_enable_x64", True),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_numpy_dtype_promotion", "strict"),
        ("jax_disable_jit", True),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_written(
    name: str, value: bool | str, tmp_path: pathlib.Path
) -> None:
    """google-deepmind/mujoco#2565, RobertTLange/gymnax#111"""
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        with pytest.raises(UserError, match=rf"JAX's setting {name} is .*: unset {name.upper()}"):
            train(tiny_config(tmp_path / "run"), console=quiet())
        if name != "jax_disable_jit":
            with pytest.raises(ValueError, match=f"unset {name.upper()}"):
                envs.make("inverted_pendulum", physics="native")
    finally:
        jax.config.update(name, before)
    assert not (tmp_path / "run").exists()
