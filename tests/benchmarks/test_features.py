"""The table of features: a feature that is left out shows, and a refusal is told in the engine's own sentence."""

import pathlib
from typing import Any

import mujoco
import pytest

from benchmarks import features
from benchmarks.feature_models import FEATURES
from benchmarks.features import TOLERANCE, Args, compare, main
from benchmarks.report import read_sections
from envs.command import UserError
from envs.engines import make_engine


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_is_a_model_with_something_that_moves(name: str) -> None:
    model = mujoco.MjModel.from_xml_string(FEATURES[name].xml)
    assert model.nv > 0
    assert model.nu > 0


def test_the_table_says_alike_or_refused(tmp_path: pathlib.Path) -> None:
    results, page = tmp_path / "features.json", tmp_path / "features.md"
    main(Args(feature=("integrator RK4", "actuator delay"), engines=("native",), json=results, markdown=page))
    [alike] = read_sections(results)["integrator RK4, native"]["rows"]
    assert alike["error"] < 1e-5
    assert f"| integrator RK4 | alike, {alike['error']:.0e} |" in page.read_text()
    assert "| actuator delay | refused: the native engine cannot simulate this model: it has delays" in page.read_text()


def test_a_feature_that_is_left_out_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(model: mujoco.MjModel, *args: Any) -> Any:
        model = model.__copy__()
        model.actuator_actearly[:] = False
        return make_engine(model, *args)

    monkeypatch.setattr(features, "make_engine", forgetful)
    assert compare(FEATURES["actuator acts early (actearly)"], "native")["error"] > TOLERANCE


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(UserError, match="There is no feature 'magic'; choose from: integrator Euler, "):
        main(Args(feature=("magic",)))
