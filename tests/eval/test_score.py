"""Scores: statistics by hand, and our simulation against Gymnasium's."""

import dataclasses
import pathlib

import numpy as np
import pytest

import envs
from envs.command import UserError
from eval.restore import restore
from eval.score import play, play_in_gymnasium, summarize


def episodes(returns: list[float], diverged: list[bool]) -> envs.Episodes:
    return envs.Episodes(np.array(returns), np.arange(len(returns)) + 1, np.array(diverged), np.zeros(len(returns), bool))


def test_statistics_by_hand() -> None:
    score = summarize(episodes([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0, 1e9], [False] * 8 + [True]))
    assert (score.episodes, score.diverged) == (8, 1)
    assert score.return_mean == pytest.approx(121 / 8)
    assert score.return_std == pytest.approx(np.std([0, 1, 2, 3, 4, 5, 6, 100]))
    assert score.return_iqm == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert 0 < score.return_iqm_low < 3.5 < score.return_iqm_high < 100
    assert score.length_mean == 4.5


def test_equal_returns_have_an_interval_of_one_point() -> None:
    score = summarize(episodes([7.0, 7.0, 7.0], [False] * 3))
    assert score.return_iqm_low == score.return_iqm == score.return_iqm_high == 7


def test_no_finite_episode_is_one_sentence() -> None:
    with pytest.raises(UserError, match="blew up in every episode"):
        summarize(episodes([1.0], [True]))


def test_score_equals_that_in_gymnasium(tiny_run: pathlib.Path) -> None:
    """A policy that has hardly learned falls at once, so its episode lengths vary little and show small differences."""
    restored = restore(tiny_run)
    ours, theirs = summarize(play(restored, 64)), summarize(play_in_gymnasium(restored, 64))
    assert ours.return_iqm_low <= theirs.return_iqm_high
    assert theirs.return_iqm_low <= ours.return_iqm_high
    assert ours.length_mean == pytest.approx(theirs.length_mean, rel=0.2)


@pytest.mark.slow
@pytest.mark.long
def test_mjx_scores_as_native(tiny_run: pathlib.Path) -> None:
    ours = [play(restore(tiny_run, physics=engine), 16) for engine in ("native", "mjx")]
    np.testing.assert_array_equal(ours[0].lengths, ours[1].lengths)


def test_task_without_an_equal_is_refused(tiny_run: pathlib.Path) -> None:
    restored = restore(tiny_run)
    env = type("Own", (type(restored.problem.env),), {"gymnasium_id": None})()
    problem = dataclasses.replace(restored.problem, env=env)
    with pytest.raises(UserError, match="has no equal in Gymnasium"):
        play_in_gymnasium(dataclasses.replace(restored, problem=problem), 1)
