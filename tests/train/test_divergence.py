"""The rules by which a run stops, and the evidence it leaves."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.command import UserError
from tests.runs import tiny_config
from train.config import Config
from train.divergence import DUMP_FILE, PATIENCE, check_starts, load_dump, save_dump
from train.loop import train
from train.program import Program
from train.record import Record
from train.state import TrainState

RANDOMIZED = envs.Randomization(mass=(0.8, 1.2), action_delay=1)


@pytest.fixture(scope="module")
def run() -> tuple[Program, TrainState]:
    """A program, and a fresh state of it with two blow-ups, in worlds that differ."""
    program = Program(tiny_config(agent="ddpg", randomization=RANDOMIZED))

    @jax.jit
    def begin(root: jax.Array) -> TrainState:
        state = program.training.init(root, program.training.draw_starts(root, jnp.zeros((), jnp.int32)))
        worlds = state.envs
        for world in (1, 3):
            worlds, _, _ = program.training.worlds.step(worlds, jnp.zeros((4, 1)).at[world].set(jnp.nan))
        return TrainState(**{**vars(state), "envs": worlds})

    return program, begin(jax.random.key(0))


def interval(**changes: Any) -> dict[str, Any]:
    calm = {"diverged": 0, "bad_starts": 0, "skipped_share": np.float32(0)}
    return {f"safety/{name}": value for name, value in (calm | changes).items()}


def record(run_dir: pathlib.Path, **limits: float) -> Record:
    return Record(tiny_config(run_dir, "ddpg", **limits), interval_steps=100, pool_size=200)


def test_evidence_is_written_after_an_interval_with_blow_ups(run: Any, tmp_path: pathlib.Path) -> None:
    kept, blow_ups = record(tmp_path), run[1].envs.blow_ups
    kept.save_evidence(blow_ups, interval())
    assert not (tmp_path / DUMP_FILE).exists()
    kept.save_evidence(blow_ups, interval(diverged=2))
    assert (tmp_path / DUMP_FILE).exists()


def test_a_run_stops_above_its_share_of_blow_ups_and_bad_starts(tmp_path: pathlib.Path) -> None:
    kept = record(tmp_path, max_diverged=0.02)
    assert kept.add_interval(interval()) is None
    assert kept.add_interval(interval(diverged=2)) is None
    reason = kept.add_interval(interval(diverged=3))
    assert reason == (
        "Worlds blew up on 3.0% of the last 100 environment steps (limit --max-diverged 0.02): the run stopped with a "
        f"checkpoint; look at the states before with: python -m eval.inspect {tmp_path}"
    )
    assert kept.add_interval(interval(bad_starts=4)) is None
    reason = kept.add_interval(interval(bad_starts=5))
    assert reason is not None
    assert reason.startswith("5 of 200 fresh start states were not finite")


def test_a_run_stops_when_it_skips_most_updates_for_some_intervals_in_a_row(tmp_path: pathlib.Path) -> None:
    kept = record(tmp_path, max_skipped=0.5)
    shares = [1.0] * (PATIENCE - 1) + [0.5] + [1.0] * (PATIENCE - 1) + [float("nan")] + [0.6] * PATIENCE
    reasons = [kept.add_interval(interval(skipped_share=np.float32(share))) for share in shares]
    assert [reason is not None for reason in reasons] == [False] * (len(shares) - 1) + [True]
    assert "In each of the last 3 logging intervals more than 50% of the gradient steps were skipped" in str(reasons[-1])


def test_a_run_whose_every_update_is_skipped_stops(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mjx_tecrl import off_policy

    monkeypatch.setattr(off_policy, "is_finite_step", lambda *_: jnp.zeros((), bool))
    with pytest.raises(UserError, match="gradient steps were skipped"):
        train(tiny_config(tmp_path, "ddpg", total_steps=800))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == PATIENCE
    assert all('"safety/skipped_share": 1.0' in line for line in lines)


@pytest.mark.parametrize("limit", [-0.1, 1.5, float("nan")])
def test_limits_are_shares(limit: float) -> None:
    for name in ("max_diverged", "max_skipped"):
        with pytest.raises(UserError, match=f"--{name.replace('_', '-')} must be a share from 0 to 1"):
            tiny_config(**{name: limit}).validate()


def bad_pool(program: Program, bad: int) -> tuple[Config, envs.State]:
    pool = program.draw_starts(jax.random.key(0), jnp.zeros((), jnp.int32))
    obs = pool.obs.at[:bad, 0].set(jnp.nan)
    return program.config, envs.State(**{**vars(pool), "obs": obs})


def test_a_task_whose_start_states_are_bad_is_refused(run: Any) -> None:
    program = run[0]
    for bad in (0, 2):
        check_starts(bad_pool(program, bad)[1], program.config)
    for bad in (3, 256):
        with pytest.raises(UserError, match=f"{bad} of 256 start states of inverted_pendulum are not finite"):
            check_starts(bad_pool(program, bad)[1], program.config)


def test_a_refused_task_leaves_no_run_directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reset_pose(self: envs.MujocoTask, key: jax.Array) -> Any:
        return jnp.full(2, jnp.nan), jnp.zeros(2), {}

    monkeypatch.setattr(envs.MujocoTask, "reset_pose", reset_pose)
    with pytest.raises(UserError, match="256 of 256 start states"):
        train(tiny_config(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_evidence_comes_back_as_it_was(run: Any, tmp_path: pathlib.Path) -> None:
    program, state = run
    blow_ups = state.envs.blow_ups
    save_dump(tmp_path, blow_ups)
    assert [path.name for path in tmp_path.iterdir()] == [DUMP_FILE]
    loaded = load_dump(tmp_path, program.state_shapes().envs.blow_ups)
    assert int(loaded.count) == int(blow_ups.count) == 2
    assert loaded.world.tolist() == [1, 3]
    assert loaded.steps.tolist() == [0, 1]
    assert np.isnan(loaded.action).all()
    assert set(loaded.info["model"]) == {"body_mass", "body_inertia", "body_subtreemass"}
    for x, y in zip(jax.tree.leaves(loaded), jax.tree.leaves(blow_ups), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y[: len(x)] if x.ndim else y)


def test_evidence_that_does_not_fit_is_refused(run: Any, tmp_path: pathlib.Path) -> None:
    like, path = run[0].state_shapes().envs.blow_ups, tmp_path / DUMP_FILE

    def refused(sentence: str) -> None:
        with pytest.raises(UserError, match=sentence) as error:
            load_dump(tmp_path, like)
        assert "\n" not in str(error.value)

    refused("no world of this run has blown up")
    for text in (b"", b"no archive", b"PK\x03\x04 cut short"):
        path.write_bytes(text)
        refused("is damaged")
    save_dump(tmp_path, run[1].envs.blow_ups)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("is damaged")
    path.write_bytes(whole)
    with np.load(path) as file:
        arrays: dict[str, Any] = dict(file)
    for name, value, sentence in [
        ("physics.qpos", arrays["physics.qpos"][:, :1], r"physics.qpos is float32\[2, 1\] there, but float32\[2, 2\] here"),
        ("steps", arrays["steps"].astype(np.float32), r"steps is float32\[2\] there, but int32\[2\] here"),
        ("another", np.zeros(2), r"another is float64\[2\] there, but nothing here"),
        ("action", np.array([None, None]), "is damaged"),  # an object: it would have to be unpickled
    ]:
        np.savez(path, **(arrays | {name: value}))
        refused(sentence)
    del arrays["action"]
    np.savez(path, **arrays)
    refused(r"action is nothing there, but float32\[2, 1\] here")
