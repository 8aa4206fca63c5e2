"""`benchmarks.same_numbers`: what it compares, and that it notices a difference."""

import json
import pathlib
import shutil

import pytest

from benchmarks import same_numbers
from benchmarks.same_numbers import HERE, Args, compare, outcome
from envs.command import UserError
from train.config import CONFIG_FILE


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores without playing: what a run wrote is compared all the same."""
    monkeypatch.setattr(same_numbers, "run", lambda *_: '{"return_mean": 1.0}')


@pytest.mark.usefixtures("scored")
def test_a_run_equals_its_copy_until_one_number_differs(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    expected = outcome(HERE, [], tiny_run)
    assert outcome(HERE, [], copy) == expected
    assert expected["seed 0, score"] == {"return_mean": 1.0}
    assert {"seed 0, step 320: updates", "seed 0, checkpoint 320: loop.vector_steps"} <= expected.keys()
    assert not any("wall_s" in key or "speed/" in key for key in expected)

    first, *others = (copy / "metrics.jsonl").read_text().splitlines()
    changed = json.loads(first) | {"updates": -1, "wall_s": -1.0}
    (copy / "metrics.jsonl").write_text("\n".join([json.dumps(changed), *others]) + "\n")
    found = outcome(HERE, [], copy)
    assert [key for key in found if found[key] != expected[key]] == ["seed 0, step 80: updates"]


@pytest.mark.usefixtures("scored")
def test_a_difference_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = iter([{"a": 1, "b": 2}, {"a": 1, "b": 3}, {"a": 1}, {"a": 1}])
    monkeypatch.setattr(same_numbers, "outcome", lambda *_: next(outcomes))
    monkeypatch.setattr(same_numbers, "CASES", {"td3": [], "ppo": []})
    with pytest.raises(UserError, match="1 of 2 cases differ"):
        compare(Args(HERE, cases=("td3", "ppo")))
    said = capsys.readouterr().out
    assert "td3: 2 items, DIFFERENT in b" in said
    assert "ppo: 1 items, the same" in said


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / CONFIG_FILE).touch()
    with pytest.raises(UserError, match=r"is not a checkout of this project: there is no train/run\.py"):
        compare(Args(tmp_path))
