"""The example of softmax-ERA."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from examples.digits import calibration_error, main, report


def test_calibration_error() -> None:
    # Two bins: confidences 0.6 and 0.7 (one of two right), and 0.9 (right); (2 |0.5 - 0.65| + |1 - 0.9|) / 3.
    p = jnp.array([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    labels = jnp.array([0, 0, 1])
    assert float(calibration_error(jnp.log(p), labels, bins=4)) == pytest.approx((2 * 0.15 + 0.1) / 3, abs=1e-6)
    certain = jnp.array([[0.0, 1e9]])
    assert float(calibration_error(certain, jnp.array([1]))) == 0
    assert float(calibration_error(certain, jnp.array([0]))) == 1


def test_trained_classifiers_keep_the_floor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr("examples.digits.report", lambda args, found: report(args, results.extend(found) or found))
    assert main(["--floors", "0.6", "--steps", "150", "--hidden", "32", "--lr", "3e-3", "--seeds", "2"]) == 0
    plain, era = results
    assert (plain["minimum entropy (nats)"] < 0.05).all()
    assert (era["minimum entropy (nats)"] > 0.98).all()
    for metrics in (plain, era):
        assert (metrics["accuracy (%)"] > 80).all()
    assert (era["expected calibration error (%)"] > plain["expected calibration error (%)"]).all()
    printed = capsys.readouterr().out
    assert "ERA 0.6" in printed
    assert "0.982" in printed


def test_too_many_training_images_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--train-images", "1199"]) == 2
    assert "between 1 and 1198" in capsys.readouterr().err


def test_a_floor_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--floors", "0.1", "2.3"]) == 2
    assert "must lie between -0.0597 and 2.2429 nats, not 2.3" in capsys.readouterr().err


def test_without_scikit_learn_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main([]) == 2
    assert capsys.readouterr().err == "error: This example needs scikit-learn: pip install 'mjx-tecrl[examples]'.\n"
