"""The commands of this room, as a user types them."""

import json
import pathlib

import imageio.v3 as iio
import numpy as np
import pytest

from eval import plot, render, run
from eval.restore import restore


def test_run_prints_a_table(tiny_run: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(tiny_run), "--episodes", "4"]) == 0
    text = capsys.readouterr().out
    assert "inverted_pendulum after 320 steps, native physics" in text
    for word in ("mean ± std", "IQM [95 % interval]", "episode length"):
        assert word in text


@pytest.mark.parametrize("simulator", ["same", "gymnasium"])
def test_run_prints_json(tiny_run: pathlib.Path, capsys: pytest.CaptureFixture[str], simulator: str) -> None:
    assert run.main([str(tiny_run), "--episodes", "4", "--json", "--step", "240", "--simulator", simulator]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (score["step"], score["episodes"], score["diverged"]) == (240, 4, 0)
    assert score["return_mean"] == pytest.approx(score["length_mean"] - 1)  # every step but the last rewards 1


@pytest.mark.parametrize(
    ("main", "args", "sentence"),
    [
        (run.main, ["{tmp}"], "is not a run directory"),
        (run.main, ["{run}", "--step", "1"], "There is no checkpoint of step 1"),
        (run.main, ["{run}", "--episodes", "0"], "--episodes must be at least 1"),
        (run.main, ["{run}", "--simulator", "gymnasium", "--physics", "mjx"], "cannot be given together"),
        (render.main, ["{tmp}"], "is not a run directory"),
        (render.main, ["{run}", "--out", "film.avi"], "must end in .mp4, .gif, .png or .html"),
        (render.main, ["{run}", "--steps", "0"], "--steps must be at least 1"),
        (render.main, ["{run}", "--out", "film.html", "--camera", "side"], "no camera 'side'; choose one of: "),
        (plot.main, ["{tmp}"], "holds no metrics"),
        (plot.main, ["{tmp}/nowhere"], "There is no "),
        (plot.main, [], "Name at least one run directory"),
        (plot.main, ["{run}", "--out", "/proc/curve.png"], "cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(
    main: object,
    args: list[str],
    sentence: str,
    tiny_run: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(main)
    assert main([arg.format(run=tiny_run, tmp=tmp_path) for arg in args]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_plot_draws(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert plot.main([str(tiny_run), "--out", str(tmp_path / "all.png")]) == 0
    assert plot.main([str(tiny_run / "metrics.jsonl"), "--out", str(tmp_path / "one.png"), "--only-return"]) == 0
    everything, one = iio.imread(tmp_path / "all.png"), iio.imread(tmp_path / "one.png")
    assert everything.shape[0] > one.shape[0]
    assert one.std() > 0


def test_a_single_evaluation_shows(tmp_path: pathlib.Path) -> None:
    """A line through one point cannot be seen."""
    pictures = []
    for number, value in enumerate((None, 5.0)):
        log = tmp_path / f"{number}.jsonl"
        log.write_text(json.dumps({"env_steps": 100, "eval/return_mean": value}) + "\n")
        assert plot.main([str(log), "--out", str(tmp_path / "curve.png"), "--only-return"]) == 0
        pictures.append(iio.imread(tmp_path / "curve.png")[..., :3].astype(int))
    blue = [((picture[..., 2] - picture[..., 0]) > 80).sum() for picture in pictures]
    assert blue[1] > 20 > blue[0]


def test_a_run_may_be_named_by_a_string(tiny_run: pathlib.Path) -> None:
    assert restore(str(tiny_run)).step == restore(tiny_run).step == 320


@pytest.mark.usefixtures("draws")
# These warnings come from reading the film: imageio forks its decoder, and leaves its pipes to the garbage collector.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:unclosed file:ResourceWarning")
def test_film_moves_and_the_still_is_one_of_its_pictures(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    film, still = tmp_path / "film.mp4", tmp_path / "still.png"
    assert render.main([str(tiny_run), "--out", str(film), "--width", "160", "--height", "128"]) == 0
    frames = iio.imread(film)
    assert frames.shape[1:] == (128, 160, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50  # the pole fell
    assert render.main([str(tiny_run), "--out", str(still), "--width", "160", "--height", "128"]) == 0
    picture = iio.imread(still)
    middle = frames[len(frames) // 2]
    assert np.abs(picture.astype(int) - middle).mean() < 5  # the same, except for compression


def test_a_page_replays_the_episode(
    tiny_run: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "replay.html"
    assert render.main([str(tiny_run), "--out", str(page)]) == 0
    scene = json.loads(page.read_text().split('id="scene">')[1].split("</script>")[0])
    frames = scene["frames"]
    assert f"wrote {page}: {frames} frames, " in capsys.readouterr().out
    # Every step but the last rewards 1, as the pole has fallen then.
    assert scene["returns"] == [f"{min(i, frames - 2):.1f}" for i in range(frames)]


@pytest.mark.usefixtures("draws")
def test_the_return_is_written_into_the_picture(tiny_run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pictures = []
    for flags in ([], ["--show-return"]):
        still = tmp_path / "still.png"
        assert render.main([str(tiny_run), "--out", str(still), "--width", "320", "--height", "240", *flags]) == 0
        pictures.append(iio.imread(still).astype(int))
    differs = np.abs(pictures[0] - pictures[1]).max(axis=-1) > 30
    assert differs[:60, :160].any()
    assert not differs[60:].any()
