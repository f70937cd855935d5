"""Calibration: errors by hand, beside scikit-learn's curve, with weights, and where it shows."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from tests.problems import make_dataset, make_regression
from xpmlp.evaluation.calibration import BINS, calibrate, spread_over
from xpmlp.evaluation.evaluating import evaluate, evaluate_seeds
from xpmlp.evaluation.intervals import wilson_interval
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config

OPTIONS = {"hidden": (4,), "epochs": 2, "device": "cpu", "batch_size": 8}


def probabilities(n=500):
    rng = np.random.default_rng(0)
    p = rng.random(n)
    return p, rng.random(n) < p**2


def test_by_hand():
    """Two rows in (0.4, 0.6], one of which is right, and three in (0.8, 1]."""
    found = calibrate([0.6, 0.5, 0.9, 1.0, 0.95], [True, False, True, True, False], bins=5)
    assert found.rows.tolist() == [0, 0, 2, 0, 3]
    np.testing.assert_allclose(found.share, [0, 0, 0.4, 0, 0.6])
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.55, np.nan, 0.95])
    np.testing.assert_allclose(found.right, [np.nan, np.nan, 0.5, np.nan, 2 / 3])
    assert found.error == pytest.approx(0.4 * 0.05 + 0.6 * (0.95 - 2 / 3))
    assert found.mean_confidence == pytest.approx(np.mean([0.6, 0.5, 0.9, 1.0, 0.95]))
    assert found.intervals[:, 4].tolist() == list(wilson_interval(2, 3))
    assert np.isnan(found.intervals[:, 0]).all()
    assert found.table()[0] == {
        "above": pytest.approx(0.4),
        "up_to": pytest.approx(0.6),
        "rows": 2,
        "share": 0.4,
        "confidence": pytest.approx(0.55),
        "right": 0.5,
    }


def test_it_is_the_sum_that_the_paper_has():
    p, happened = probabilities()
    error = 0.0
    for m in range(BINS):
        of_bin = (p > m / BINS) & (p <= (m + 1) / BINS)
        error += of_bin.sum() / len(p) * abs(happened[of_bin].mean() - p[of_bin].mean())
    assert calibrate(p, happened).error == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("bins", [1, 5, 10, 15])
def test_the_curve_is_scikit_learns(bins):
    p, happened = probabilities()
    share_right, mean = calibration_curve(happened, p, n_bins=bins)
    found = calibrate(p, happened, bins=bins)
    known = found.rows > 0
    np.testing.assert_allclose(found.right[known], share_right, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[known], mean, rtol=1e-12)


def test_the_ends_belong_to_the_outer_bins():
    found = calibrate([0.0, 1.0, 1 + 1e-7], [False, True, True], bins=2)
    assert found.rows.tolist() == [1, 2]
    assert found.error == 0.0


def test_a_row_of_weight_two_is_two_rows():
    p, happened = probabilities(60)
    weights = np.random.default_rng(1).integers(0, 4, 60)
    weighted = calibrate(p, happened, weights)
    repeated = calibrate(np.repeat(p, weights), np.repeat(happened, weights))
    for name in ("share", "confidence", "right"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12)
    assert weighted.error == pytest.approx(repeated.error, rel=1e-12)
    assert calibrate(p, happened, 7.5 * weights).error == pytest.approx(weighted.error)
    assert weighted.intervals is None
    json.dumps(calibrate(p, happened, np.zeros(60) + (p > 0.5)).table(), allow_nan=False)


def test_numbers_that_are_none_give_no_figure():
    assert np.isnan(calibrate([np.nan, 0.5], [False, True]).error)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_report_has_it_of_the_predicted_classes(loss, classes):
    """A single node speaks for both of two classes."""
    run = fit(Config(**OPTIONS, loss=loss), make_dataset(classes=classes))
    report = evaluate(run)
    p = report.outputs
    if p.shape[1] == 1:
        p = np.concatenate([1 - p, p], axis=1)
    right = p.argmax(axis=1) == report.true
    expected = calibrate(p.max(axis=1), right).error
    assert report.measures["expected_calibration_error"] == pytest.approx(expected, rel=1e-12)
    figures = report.figures()
    assert figures["expected_calibration_error"] == report.calibration.error
    assert sum(line["rows"] for line in figures["calibration"]) == len(report.true)
    assert f"\nECE       {expected:.4f}, expected calibration error; " in report.text()
    (drawn,) = [figure for name, figure in report.pictures() if name == "calibration"]
    title = f"test expected calibration error {expected:.4f}"
    assert drawn.axes[0].get_title(loc="left") == title


def test_weights_of_rows_count():
    data = make_dataset()
    weights = np.random.default_rng(2).random(len(data.test)) + 0.1
    run = fit(Config(**OPTIONS), replace(data, test=replace(data.test, weights=weights)))
    report = evaluate(run)
    right = report.predicted == report.true
    assert report.calibration.error == calibrate(report.outputs.max(axis=1), right, weights).error
    assert report.calibration.error != calibrate(report.outputs.max(axis=1), right).error


@pytest.mark.parametrize(
    ("data", "loss"),
    [(make_dataset(), "mean_squared_error"), (make_regression(), "mean_squared_error")],
    ids=["scores", "values"],
)
def test_without_probabilities_there_is_none(data, loss):
    runs = fit_many(Config(**OPTIONS, loss=loss, learning_rate=0.01, seeds=2).members(), data)
    for report in (evaluate(runs[0]), evaluate_seeds(runs)):
        assert "calibration" not in json.dumps(report.figures())
        assert "ECE" not in report.text()
        assert "spread" not in report.text()
        assert "probability_spread" not in report.figures()
    assert "calibration" not in [name for name, _ in evaluate(runs[0]).pictures()]


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_the_spread_of_seeds_by_hand(loss):
    """The standard deviation of p of the class that the mean of p has largest, row by row."""
    data = make_dataset(classes=2)
    runs = fit_many(Config(**OPTIONS, loss=loss, seeds=3).members(), data)
    seeds = evaluate_seeds(runs)
    p = np.array([report.outputs[:, -1] for report in seeds.reports], dtype=np.float64)
    classes = p.mean(axis=0) > 0.5
    np.testing.assert_array_equal(seeds.spread.classes, classes)
    np.testing.assert_allclose(seeds.spread.deviation, p.std(axis=0, ddof=1), rtol=1e-5)
    right = classes == data.test.y
    expected = {"right": p.std(axis=0, ddof=1)[right].mean()}
    if not right.all():
        expected["wrong"] = p.std(axis=0, ddof=1)[~right].mean()
    found = seeds.figures()["probability_spread"]
    assert {k: v for k, v in found.items() if v is not None} == pytest.approx(expected, rel=1e-5)
    last = seeds.text().splitlines()[-1]
    assert last.startswith("spread of a row's probability over the seeds (sd): ")
    assert f"{found['right']:.4f} where right" in last


def test_one_net_has_no_spread():
    run = fit(Config(**OPTIONS), make_dataset())
    assert spread_over([run.model], [evaluate(run).evaluation.logits]) is None
