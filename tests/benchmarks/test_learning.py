"""The benchmark of learning: its logs, its statistics, its page; and agents with choices of their own."""

import json
import pathlib

import numpy as np
import pytest

from benchmarks.choices import chosen
from benchmarks.learning import Args, interval, main, page, read
from envs.command import UserError


def test_seeds_are_logged_side_by_side_and_what_is_there_is_not_trained_again(tmp_path: pathlib.Path) -> None:
    args = Args(
        task=("inverted_double_pendulum",),
        agent=("td3:hidden=[8]",),
        steps=640,
        seeds=2,
        logs=tmp_path / "logs",
        markdown=tmp_path / "page.md",
        figures=tmp_path / "figures",
    )
    main(args)
    [path] = args.logs.iterdir()
    head, *lines = read(path)
    assert head["agent_args"]["hidden"] == [8]
    assert head["seeds"] == 2
    assert [line["env_steps"] for line in lines] == [32 * n for n in range(1, 21)]
    assert [("eval/return_mean" in line) for line in lines] == [False, True] * 10
    first, second = np.transpose([line["train/return_mean"] for line in lines if None not in line["train/return_mean"]])
    assert (first != second).all()
    assert "| `td3` hidden=[8] |" in args.markdown.read_text()

    path.write_text(json.dumps(head) + "\n" + json.dumps(lines[-1] | {"eval/return_mean": [1.0, 3.0]}) + "\n")
    main(args)
    assert "| `td3` hidden=[8] | 2 ± 13 | 1, 3 |" in args.markdown.read_text()


def test_the_interval_is_students() -> None:
    # Three values with a standard deviation of 1: 4.303 / sqrt(3).
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.4841), abs=1e-3)


def test_agents_stand_in_the_registrys_order_followed_by_their_choices() -> None:
    line = {"eval/return_mean": [1.0, 2.0], "env_steps": 10, "updates": 1, "train_s": 3.0}
    names = ("ppo", "sac", "dsac_e:rho=20", "dsac_e", "dsac_e:rho_price=0.01")
    text = page({name: [{"task": "hopper", "agent": name}, line] for name in names})
    places = [
        text.index(f"| {shown}") for shown in ("[`dsac_e`]", "`dsac_e` rho=20", "`dsac_e` rho_p", "[`sac`]", "[`ppo`]")
    ]
    assert places == sorted(places)


def test_choices_are_numbers_or_words() -> None:
    config = chosen("quick", "hopper", "dsac_e:rho=20,hidden=[8,4],critics=5,entropy=separated")
    args = config.agent_args
    assert (config.agent, args.rho, args.hidden, args.critics, args.entropy) == ("dsac_e", 20, (8, 4), 5, "separated")
    for wrong in ("td3:rho=20", "dsac_e:rho", "td33"):
        with pytest.raises(UserError, match=wrong.partition(":")[2] or "did you mean td3"):
            chosen("quick", "hopper", wrong)
