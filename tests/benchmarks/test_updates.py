"""The benchmark of gradient steps: pairs of agents take turns."""

import pathlib

import pytest

from benchmarks.report import read_sections
from benchmarks.updates import Args, main


def test_an_agent_costs_as_much_as_itself(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # on a busy machine the figures are long, and would leave no room for the name
    out = tmp_path / "updates.json"
    small = "ddpg:hidden=[8]"
    main(Args("inverted_pendulum", pair=((small, small),), batch_size=8, updates=5, turns=3, json=out))
    [row] = read_sections(out)["inverted_pendulum"]["rows"]
    low, high = row["ratio_quartiles"]
    assert low <= row["ratio"] <= high
    assert min(row["updates_per_s"]) > 0
    assert "ddpg:hidden" in capsys.readouterr().out
