"""The table of features: a feature that is left out shows, and a refusal is told in the engine's own sentence."""

import pathlib
from typing import Any

import mujoco
import pytest

from benchmarks import features
from benchmarks.feature_models import FEATURES
from benchmarks.features import TOLERANCE, Args, compare, main
from benchmarks.report import Report, read_sections
from envs.command import UserError
from envs.engines import make_engine

ROOT = pathlib.Path(__file__).parents[2]


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


def test_the_page_is_what_the_figures_give() -> None:
    written = Report(features.PROGRAM, Args(json=ROOT / "benchmarks" / "results" / "features.json"))
    assert features.page(written) == (ROOT / "docs" / "features.md").read_text()


def test_what_an_engine_was_not_compared_on_is_told(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "features.md"
    main(Args(feature=("actuator delay",), engines=("native",), markdown=page))
    assert f"| native | 0 | 1 | 0 | {len(FEATURES) - 1} |" in page.read_text()
    assert "| integrator RK4 | not run |" in page.read_text()


def test_no_engine_differs_without_a_word() -> None:
    sections = read_sections(ROOT / "benchmarks" / "results" / "features.json").values()
    found = [row for section in sections for row in section["rows"]]
    differ = {(row["feature"], row["engine"]) for row in found if row["refused"] is None and not row["error"] < TOLERANCE}
    # The engine says so when it is made, and docs/physics.md explains them.
    on_planes = {(f"geom {kind}", "mjx") for kind in ("box", "mesh", "cylinder")}
    equalities = {"equality connect", "equality weld", "equality connect, integrator RK4", "equality weld of sites"}
    elsewhere = {"geom cylinder", "geom ellipsoid on a box", "geom height field", "geom signed distance field (plugin)"}
    assert differ == on_planes | {(name, "warp") for name in equalities | elsewhere}
    assert {row["feature"] for row in found if row["engine"] == "native"} == set(FEATURES)
    assert {row["feature"] for row in found} <= set(FEATURES)


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
