"""The recipe on every backend, and its trainings cut down to a few rows."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import UNCOMPILED_BACKENDS, load_or_skip
from tests.problems import make_dataset
from xpmlp.data.toy import ellipse_rows
from xpmlp.pictures.style import save
from xpmlp.recipes.base import Property, Published, Results, Setting, train
from xpmlp.recipes.scalar_to_batched import CHECKS, agreement
from xpmlp.recipes.verdicts import judge
from xpmlp.recipes.vu_scalar_to_batched import (
    ELLIPSE,
    F1,
    MNIST,
    RATES,
    RECIPE,
    best_and_worst,
    ellipse,
    every_epoch,
    pixels_were_raw,
)
from xpmlp.training.setup import load_for


def few_rows(config):
    """Rows of the shape of MNIST, few enough for a test."""
    return make_dataset(rows=120, features=784, classes=10, dtype=config.dtype)


@pytest.fixture(scope="module")
def results():
    """The recipe's nets on few rows, and the ellipse on 1,000."""
    short = {"seeds": range(2), "epochs": 2}
    trainings = {name: replace(t, quick=short) for name, t in RECIPE.trainings.items()}
    for name in ("mnist", "scaled pixels", "learning rates"):
        trainings[name] = replace(trainings[name], data=few_rows)
    fewer = {**short, "validation": 59_000}
    trainings["ellipse"] = replace(trainings["ellipse"], quick=fewer)
    setting = Setting(backend="numpy", device="cpu", quick=True)
    return Results(setting, {name: train(t, setting) for name, t in trainings.items()})


@pytest.mark.parametrize("name", UNCOMPILED_BACKENDS)
def test_checks_without_training_are_good_on_every_backend(name):
    load_or_skip(name)
    rows = judge(CHECKS, Results(Setting(backend=name, device="cpu"), {}))
    assert [row.quantity for row in rows if row.verdict not in ("exact", "holds")] == []
    assert [row.kind for row in rows].count("golden") == 2 * 2 * 6


def test_numbers_that_differ_do_not_agree():
    assert agreement([(1.0, 1.0), ([2.0], [2.0 + 1e-15])])[0]
    assert not agreement([(1.0, 1.0), ([2.0], [2.0 + 1e-12])])[0]
    assert not agreement([(1.0, np.nan), (1.0, 1.0)])[0]


def test_the_ellipse_is_split_as_published():
    data = ellipse(ELLIPSE)
    x, y = ellipse_rows()
    assert (len(data.train), len(data.validation), len(data.test)) == (60_000, 10_000, 0)
    np.testing.assert_array_equal(data.train.x, x[:60_000])
    np.testing.assert_array_equal(data.validation.x, x[60_000:])
    np.testing.assert_array_equal(data.validation.y, y[60_000:])


def test_quick_leaves_10_000_points_of_the_ellipse():
    training = RECIPE.trainings["ellipse"]
    ((config, _),) = training.configs(Setting(quick=True)).values()
    data = training.data(config)
    assert (len(data.train), len(data.validation)) == (10_000, 10_000)


def test_the_net_of_the_ellipse(results):
    run = results.runs("ellipse")[0]
    assert run.model.sizes == (2, 3, 2)
    assert every_epoch(results.runs("ellipse"))[0]


def test_trainings_are_those_of_the_assignment(results):
    sizes = {name: len(runs) for name, runs in results.trained.items()}
    assert sizes == {"ellipse": 1, "learning rates": 4, "mnist": 1, "scaled pixels": 1}
    assert results.runs("mnist")[0].model.sizes == (784, 300, 10)
    for rate in RATES:
        rates = results.runs("learning rates", rate)[0].history.learning_rates
        assert set(rates) == {float(rate)}


def test_mnist_is_read_raw_and_whole(data_dir):
    config = MNIST.replace(data_dir=str(data_dir))
    data = load_for(config)
    assert (len(data.train), len(data.validation), len(data.test)) == (60_000, 0, 10_000)
    assert (data.train.x.min(), data.train.x.max()) == (0, 255)
    held = load_for(config.replace(validation=5_000))
    assert (len(held.train), len(held.validation)) == (55_000, 5_000)


def runs_with(**histories):
    """Stand-ins for runs: of each name one array of values per run, (K, E)."""
    names = list(histories)
    return [
        SimpleNamespace(
            history=SimpleNamespace(epoch_values=dict(zip(names, of_run, strict=True)).get)
        )
        for of_run in zip(*histories.values(), strict=True)
    ]


def test_a_loss_that_rises_once_is_noticed():
    falling, rising = np.array([3.0, 2.0, 1.0]), np.array([3.0, 1.0, 2.0])
    assert every_epoch(runs_with(train_loss=[falling] * 2, validation_loss=[falling] * 2))[0]
    assert not every_epoch(runs_with(train_loss=[falling] * 2, validation_loss=[falling, rising]))[
        0
    ]
    assert not every_epoch(runs_with(train_loss=[rising], validation_loss=[falling]))[0]


@pytest.mark.parametrize(
    ("raw", "scaled", "holds"),
    [
        ([0.83, 0.84], [0.87, 0.88], True),
        ([0.83, 0.84], [0.835, 0.88], False),
        ([0.83, 0.86], [0.85, 0.88], False),
    ],
)
def test_scaled_pixels_must_end_above_all(raw, scaled, holds):
    def runs(accuracies):
        return {"": [SimpleNamespace(test=SimpleNamespace(accuracy=a)) for a in accuracies]}

    found = Results(Setting(), {"mnist": runs(raw), "scaled pixels": runs(scaled)})
    assert pixels_were_raw(found)[0] == holds


def test_every_check_can_be_computed(results):
    for check in RECIPE.checks:
        found = check.ours(results)
        if isinstance(check, Published):
            assert len(found) == 2, check.quantity
        elif isinstance(check, Property):
            assert isinstance(found[0], bool), check.quantity
            assert "nan" not in found[1] or "1000" in check.quantity


def test_f1_scores_are_those_of_their_digits(results):
    """By hand from the counts: F1 = 2 hits / (predicted + true)."""
    for check in RECIPE.checks:
        digit = check.quantity.removeprefix("MNIST: F1 of digit ")
        if digit == check.quantity:
            continue
        run = results.runs("mnist")[1]
        true, predicted = run.trainer.data.test.y == int(digit), run.test.logits.argmax(1)
        predicted = predicted == int(digit)
        score = 2 * (true & predicted).sum() / (true.sum() + predicted.sum())
        assert check.ours(results)[1] == pytest.approx(score)
        assert check.published == F1[int(digit)]
    assert isinstance(best_and_worst(results)[0], bool)


def test_report_has_every_class_and_both_averages(results):
    (table,) = RECIPE.tables
    lines = [line.split() for line in table.text(results).splitlines() if line.strip()]
    assert lines[0] == ["precision", "recall", "f1-score", "support"]
    digits = [line for line in lines if line[0].isdecimal()]
    assert [line[0] for line in digits] == list("0123456789")
    assert sum(int(line[-1]) for line in digits) == len(results.runs("mnist")[0].trainer.data.test)
    assert [" ".join(line[:2]) for line in lines[-2:]] == ["macro avg", "weighted avg"]


@pytest.mark.parametrize("picture", RECIPE.pictures, ids=lambda picture: picture.name)
def test_pictures_are_drawn(results, picture, tmp_path):
    figure = picture.draw(results)
    assert save(figure, tmp_path / f"{picture.name}.png").stat().st_size > 10_000
    assert all(axes.get_xlabel() for axes in figure.axes if axes.get_visible())


def test_every_rate_has_its_entry_in_the_legend(results):
    picture = next(p for p in RECIPE.pictures if p.name == "mnist-learning-rates")
    figure = picture.draw(results)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert [text for text in texts if text.startswith("rate")] == [f"rate {r}" for r in RATES]
