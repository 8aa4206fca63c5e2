"""Entries of observations: named after MuJoCo's numbers that they are."""

import pytest

import envs
from eval.observation import Entry, observation_entries


@pytest.mark.parametrize(
    ("task", "entries"),
    [
        ("half_cheetah", [Entry("qpos[1:9]", 8, True), Entry("qvel", 9, True)]),
        (
            "inverted_double_pendulum",
            [
                Entry("qpos[0:1]", 1, True),
                Entry("qpos[1:3]", 2, False),
                Entry("qpos[1:3]", 2, False),
                Entry("qvel", 3, False),
                Entry("qfrc_constraint[0:1]", 1, False),
            ],
        ),
    ],
)
def test_entries_of_gymnasiums_tasks(task: str, entries: list[Entry]) -> None:
    assert observation_entries(envs.make(task, physics="native")) == entries


def test_worlds_that_differ_have_the_entries_of_the_task() -> None:
    worlds = envs.make("swimmer", physics="native", randomization=envs.Randomization(obs_noise=0.1, obs_delay=2))
    assert observation_entries(worlds) == [Entry("qpos[2:5]", 3, True), Entry("qvel", 5, True)]


def test_computed_numbers_name_what_they_are_computed_from() -> None:
    entries = observation_entries(envs.make("reacher", physics="native"))
    assert sum(entry.size for entry in entries) == 10
    assert entries[0] == Entry("qpos[0:2]", 2, False)
    assert entries[-1] == Entry("from xpos", 2, False)
