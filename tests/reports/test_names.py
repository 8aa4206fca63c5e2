"""Names of directories: every name that the file system takes works, and is printed as it is."""

import pathlib

import jax
import numpy as np
import pytest

from tests.runs import leaves, quiet, restore_state, shared_program, tiny_config
from train.checkpoints import Checkpoints
from train.checkpoints.parts import read_parts, write_parts
from train.loop import train

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
