"""Names of directories: every name that the file system takes works, and is printed as it is."""

import pathlib
import shlex
from typing import Any

import jax
import matplotlib.figure
import numpy as np
import pytest

import envs
from envs import list as envs_list
from envs import view
from envs.command import UserError, quoted
from eval import plot, render, run
from tests.runs import TINY_FLAGS, leaves, quiet, restore_state, shared_program, tiny_config
from train.checkpoints import Checkpoints, Notes, store
from train.checkpoints.parts import read_parts, write_parts
from train.loop import train
from train.run import main
from train.sweep import _show
from train.trials import Trial

NAMES = ("sac[lr=0.001]", "a]b[", "a*b", "a?b", "a{b,c}", "with space", "[!x]", "~$HOME", "a'b\"c", "50%:#&;\\n")
"""names of which some tool makes something else"""


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_can_be_read_whatever_its_folder_is_called(name: str, tmp_path: pathlib.Path) -> None:
    """tensorflow/tensorflow#34290, #35489: saving works in a folder with square brackets, and loading does not."""
    (tmp_path / "aXb").mkdir()  # the pattern a?b fits this name too
    folder, parts = tmp_path / name / "1", {"part": {"x": np.arange(5.0), "y": np.ones((), np.int32)}}
    folder.parent.mkdir()
    write_parts(folder, parts)
    shapes = {"part": {key: jax.ShapeDtypeStruct(x.shape, x.dtype) for key, x in parts["part"].items()}}
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    for rename in (False, True):
        place = folder.rename(tmp_path / "renamed") if rename else folder
        read = read_parts(place, shapes)["part"]
        np.testing.assert_array_equal(read["x"], parts["part"]["x"])
        assert read["y"] == 1


@pytest.mark.usefixtures("programs")
def test_a_run_in_a_directory_with_square_brackets_can_be_read_and_resumed(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """tensorflow/tensorflow#34290: all of such a run was lost, though it had ended with "Done"."""
    config = tiny_config(tmp_path / "sac[lr=0.001]", total_steps=160)
    train(config, console=quiet())
    run_dir = train(tiny_config(tmp_path / "sac[lr=0.001]"), resume=True, console=quiet())
    like = shared_program(config).state_shapes()
    ours, plain = (leaves(restore_state(Checkpoints(path), like)[1]) for path in (run_dir, tiny_run))
    for x, y in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_run_learns_from_its_first_checkpoint_whether_it_can_be_read(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tensorflow/tensorflow#34290: saving worked, and that nothing could be loaded showed at the end."""

    def unreadable(*_: object) -> None:
        raise FileNotFoundError("no metadata")

    notes = Notes(config={}, progress={}, return_mean=None)
    with monkeypatch.context() as patch:
        patch.setattr(store, "read_parts", unreadable)
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(1, {"actor": {"x": np.ones(3)}}, notes)
        with pytest.raises(UserError, match=r"could not be written .*it was written, but cannot be read \(no metadata\)"):
            checkpoints.finish()
    checkpoints.save(2, {"actor": {"x": np.ones(3)}}, notes)
    checkpoints.finish()
    assert checkpoints.restore({"actor": {"x": np.zeros(3)}})[0] == 2


def printed_commands(text: str) -> list[list[str]]:
    """The words of each command that a text offers, as a shell splits them."""
    return [shlex.split(line) for line in text.splitlines() if line.startswith("  python -m")]


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("name", ["sac[lr=0.001]", "a[/b]", "with space :bug: $HOME [bold]'x'"])
def test_a_printed_path_is_the_path_and_a_printed_command_can_be_copied(name: str, tmp_path: pathlib.Path) -> None:
    """multiversx/mx-sdk-py-cli PR#379, docarray/docarray#733: rich takes brackets for markup, or raises MarkupError."""
    console = quiet()
    train(tiny_config(tmp_path / name, total_steps=80), console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"run directory {tmp_path / name}\n" in text
    assert printed_commands(text) == [["python", "-m", "eval.run", str(tmp_path / name)]]


def test_a_sweep_prints_names_and_commands_as_they_are() -> None:
    """docarray/docarray#733, again: the values of --vary are a user's text."""
    name, console = "agent.hidden=[/x] :bug:", quiet()
    trial = Trial(name, tiny_config(pathlib.Path(name)), state="finished", env_steps=10, return_mean=1.0)
    assert _show([trial], console) == 0
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count(name) == 3
    assert printed_commands(text) == [["python", "-m", "eval.run", name]]


def test_a_path_that_looks_like_a_flag_is_quoted_as_a_path() -> None:
    """docarray/docarray#733, again: what is printed has to mean the same when it comes back."""
    assert [quoted(pathlib.Path(x)) for x in ("-x", "a b", "a")] == ["./-x", "'a b'", "a"]


def test_the_list_of_tasks_says_which_extra_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """multiversx/mx-sdk-py-cli PR#379, again: the extra in square brackets was missing in the command."""

    class Missing(envs.MujocoTask):
        def __init__(self, *args: Any) -> None:
            raise ValueError("it needs: pip install '.[dmc]' :bug:")

    monkeypatch.setattr(envs, "TASKS", {"missing": Missing})
    assert envs_list.main([]) == 0
    assert "pip install '.[dmc]' :bug:" in capsys.readouterr().out


@pytest.mark.filterwarnings("error")
def test_a_plot_names_every_run_as_its_directory_is_called(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found on the way: matplotlib leaves out labels with a leading underscore, and refuses what is no formula."""
    names = ["_x", r"$\unknown$", "a[b]"]
    for name in names:
        folder = tmp_path / name / ("seed-0" if name == "a[b]" else "")
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text('{"env_steps": 1, "eval/return_mean": 2.0}\n')
    figures: list[matplotlib.figure.Figure] = []
    write = plot.write_figure

    def write_and_keep(figure: matplotlib.figure.Figure, *args: Any, **kwargs: Any) -> None:
        figures.append(figure)
        write(figure, *args, **kwargs)

    monkeypatch.setattr(plot, "write_figure", write_and_keep)
    assert plot.main([*(str(tmp_path / name) for name in names), "--out", str(tmp_path / "curve.png")]) == 0
    legend = figures[0].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*names[:2], "a[b]/seed-0"]


@pytest.mark.parametrize("seed", ["-1", "4294967296", "18446744073709551615", "18446744073709551616"])
def test_a_seed_that_is_none_is_refused_in_a_sentence(
    seed: str, tiny_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found on the way: tracebacks; and 2**32 was taken for 0 without a word, -1 for 2**32 - 1."""
    for command, args in (
        (main, [*TINY_FLAGS, "--env", "inverted_pendulum", "--run-dir", str(tmp_path / "run")]),
        (run.main, [str(tiny_run), "--simulator", "gymnasium"]),
        (run.main, [str(tiny_run)]),
        (render.main, [str(tiny_run)]),
        (view.main, ["hopper", "--out", str(tmp_path / "film.mp4")]),
    ):
        assert command([*args, f"--seed={seed}"]) == 2
        assert capsys.readouterr().err == f"error: --seed must be from 0 to 4294967295, not {seed}.\n"
    assert not list(tmp_path.iterdir())
