"""The benchmark of checkpoints."""

import pathlib

from benchmarks.checkpoint import Args, main
from benchmarks.report import read_sections


def test_a_checkpoint_is_measured_with_and_without_its_replay(tmp_path: pathlib.Path) -> None:
    results = tmp_path / "out.json"
    main(Args("inverted_pendulum", "sac:hidden=[8]", num_envs=4, replay_size=100_000, json=results))
    with_replay, without = read_sections(results)["sac:hidden=[8] on inverted_pendulum"]["rows"]
    assert (with_replay["replay"], without["replay"]) == (True, False)
    assert with_replay["size_mb"] > 10 * without["size_mb"] > 0
    for row in (with_replay, without):
        assert 0 < row["stall_s"] < row["write_s"]
        assert row["read_s"] > 0
