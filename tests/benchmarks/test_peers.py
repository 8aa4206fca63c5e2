"""The suite ``peers``, without the peers: a shell script takes the interpreter's place."""

import pathlib
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from benchmarks import peers, run
from envs.command import UserError, run_command

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Returns a function that puts a script in the place of Brax's interpreter."""
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)

    def write(script: str) -> None:
        path = tmp_path / "brax" / "bin" / "python"
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


def test_a_missing_environment_is_one_sentence(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(run.Args, run.main, "python -m benchmarks.run", ["peers"]) == 2
    assert "brax/bin/python is missing: 'make peers' installs what is compared.\n" in capsys.readouterr().err


def test_each_line_begins_a_turn(install: Install) -> None:
    install("""
        while read line; do
            echo compiling
            turns=$((turns + 1))
            echo '{"env_steps": '$turns', "updates": 3, "seconds": 0.5, "device": "cpu"}'
        done""")
    assert play(turns=2) == [peers.Turn(1, 3, 0.5), peers.Turn(2, 3, 0.5)]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo Traceback >&2; echo no such task >&2; exit 1", "brax failed: no such task."),
        ('echo \'{"env_steps": 1, "device": "gpu"}\'; read line', "brax works on the gpu, and this project on the cpu."),
    ],
)
def test_what_goes_wrong_is_one_sentence(script: str, sentence: str, install: Install) -> None:
    install(script)
    with pytest.raises(UserError) as error:
        play(turns=1)
    assert str(error.value) == sentence


def play(turns: int) -> list[peers.Turn]:
    with ExitStack() as closing:
        peer = peers.Peer("brax", {"worlds": 4}, closing)
        played = []
        for _ in range(turns):
            peer.begin()
            played.append(peer.end())
        return played


def test_every_round_has_a_turn_of_each() -> None:
    class Slowing:
        turns = 0

        def begin(self) -> None:
            self.turns += 1

        def end(self) -> peers.Turn:
            # The first turn compiles, and does not count.
            return peers.Turn(10, 20, 0.1 if self.turns == 1 else self.turns)

    later = [peers.Turn(10, 20, turn) for turn in range(2, 2 + peers.ROUNDS)]
    assert peers.compete({"ours": Slowing(), "other": Slowing()}) == {"ours": later, "other": later}


def test_the_fastest_turn_is_shown_and_the_median_of_the_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"ours": [1.0, 2.0, 4.0], "other": [1.0, 4.0, 12.0]}
    turns = {name: [peers.Turn(100, 20, s) for s in taken] for name, taken in seconds.items()}
    monkeypatch.setattr(peers, "python", lambda name: None)
    monkeypatch.setattr(peers, "_contestants", lambda case, closing: {})
    monkeypatch.setattr(peers, "compete", lambda contestants: turns)
    rows = [row for row in peers.peers(full=False) if row.case.startswith("physics dominates")]
    assert [row.value for row in rows] == [100, 20, 100, 20, 2]
    assert rows[-1].case.endswith("ours / other")
