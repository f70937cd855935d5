"""What needs no data on every backend, what the row counts explain, and a short run."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import UNCOMPILED_BACKENDS, load_or_skip
from tests.problems import make_dataset
from xpmlp.data.dataset import Rows
from xpmlp.pictures.style import save
from xpmlp.recipes import toronto_notmnist as toronto
from xpmlp.recipes.base import Property, Published, Results, Setting, train
from xpmlp.recipes.formulas import plain_gradient, small_net, small_rows
from xpmlp.recipes.verdicts import judge
from xpmlp.runs.fitting import fit

WITHOUT_DATA = [
    check
    for check in toronto.RECIPE.checks
    if isinstance(check, Property) and check.quick and "begins" not in check.quantity
]


@pytest.mark.parametrize("name", UNCOMPILED_BACKENDS)
def test_checks_without_data_on_every_backend(name):
    load_or_skip(name)
    rows = judge(WITHOUT_DATA, Results(Setting(backend=name, device="cpu"), {}))
    assert [(row.quantity, row.verdict) for row in rows] == [
        ("the derivative of ReLU is 1[S > 0], not sign(S)", "holds"),
        ("both forms of momentum take one path, from v = 10⁻⁵ and 10⁻⁴", "holds"),
    ]


def test_the_deviations_are_those_of_the_published_helper():
    assert toronto.NETS.init_std == pytest.approx((0.0501886, 0.0446990), rel=1e-5)


def test_the_plain_gradient_by_hand():
    """The gradient that the momentum forms share, against the loss's own slope in b2."""
    net, rows = small_net(), small_rows()

    def loss(shift):
        h = np.maximum(rows.x @ net[0].W + net[0].b, 0)
        z = h @ net[1].W + net[1].b + np.array([shift, 0, 0])
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(len(rows)), rows.y]).mean()

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert plain_gradient(net)[1].b[0] == pytest.approx(slope, abs=1e-9)


def test_rows_are_added_to_the_training_rows(monkeypatch):
    data = make_dataset(rows=90)
    monkeypatch.setattr(toronto, "load_for", lambda config: data)
    more, all_of_them = toronto.with_test_rows(toronto.NETS), toronto.all_rows(toronto.NETS)
    assert [len(more.train), len(more.validation), len(more.test)] == [60, 30, 0]
    assert more.validation is data.validation
    np.testing.assert_array_equal(more.train.x[30:], data.test.x)
    np.testing.assert_array_equal(more.train.y[30:], data.test.y)
    assert [len(all_of_them.train), len(all_of_them.validation), len(all_of_them.test)] == [
        90,
        0,
        0,
    ]
    np.testing.assert_array_equal(all_of_them.train.y[60:], data.validation.y)


def trained(counts, **figures):
    """A run per training with so many training rows, and the given figures."""
    runs = {}
    for i, (name, rows) in enumerate(zip(toronto.TRAININGS, counts, strict=True)):
        trainer = SimpleNamespace(data=SimpleNamespace(train=range(rows)))
        record = SimpleNamespace(**{figure: values[i] for figure, values in figures.items()})
        runs[name] = {"": [SimpleNamespace(trainer=trainer, record=record)]}
    return Results(Setting(), runs)


@pytest.mark.parametrize(
    ("counts", "losses", "holds"),
    [
        ((6_000, 8_000, 10_000), (0.05, 0.07, 0.09), True),
        ((6_000, 8_000, 10_000), (0.05, 0.09, 0.12), False),
        ((6_000, 8_000, 10_000), (0.05, 0.04, 0.09), False),
        ((10_000, 12_720, 18_720), (0.092, 0.12, 0.15), True),
        ((10_000, 12_720, 18_720), (0.12, 0.11, 0.092), False),
    ],
)
def test_whether_the_count_explains_a_figure(counts, losses, holds):
    """The published loss is 0.0918, of 10,000 rows."""
    results = trained(counts, train_loss=losses)
    assert toronto.count_explains(results, "train_loss")[0] is holds


@pytest.mark.parametrize(
    ("losses", "accuracies", "holds"),
    [
        ((0.3, 0.2), (0.8, 0.9), True),
        ((0.2, 0.3), (0.8, 0.9), False),
        ((0.3, 0.2), (0.9, 0.8), False),
    ],
)
def test_whether_more_rows_help(losses, accuracies, holds):
    figures = {"validation_loss": (*losses, 0), "validation_accuracy": (*accuracies, 0)}
    assert toronto.more_rows_help(trained((1, 2, 3), **figures))[0] is holds


def initial_results(std):
    """A net 50-100-3, untrained, whose layers were asked to have these deviations."""
    data = make_dataset(rows=30, features=50, classes=3, dtype="float32")
    config = toronto.NETS.members()[0].replace(
        hidden=(100,), init_std=std, epochs=1, backend="numpy", device="cpu"
    )
    return Results(Setting(), {toronto.AS_LOADED: {"": [fit(config, data)]}})


@pytest.mark.parametrize(
    ("std", "first", "second"),
    [
        (toronto.NETS.init_std, True, True),
        ((math.sqrt(2 / 1784), toronto.NETS.init_std[1]), False, True),
        ((toronto.NETS.init_std[0], math.sqrt(2 / 1010)), True, False),
    ],
)
def test_the_initial_deviations_of_text_and_program_are_told_apart(std, first, second):
    results = initial_results(std)
    assert toronto.initial_spread(results)[0] is first
    assert toronto.initial_scale(results)[0] is second


def test_the_accuracy_without_twins_by_hand():
    train = Rows(np.array([[1.0], [2.0]]), np.array([0, 1]))
    held = Rows(np.array([[1.0], [3.0], [4.0]]), np.array([0, 0, 1]))
    model = SimpleNamespace(predict=lambda x: np.zeros(len(x), int))
    run = SimpleNamespace(
        model=model, trainer=SimpleNamespace(data=SimpleNamespace(train=train, validation=held))
    )
    assert toronto.accuracy_without_twins(run) == 0.5


def test_twins_are_equal_rows():
    train = Rows(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([0, 1]))
    held = Rows(np.array([[3.0, 4.0], [2.0, 1.0], [1.0, 2.0]], np.float32), np.array([0, 0, 0]))
    data = replace(make_dataset(), train=train, validation=held)
    assert toronto.twins(data).tolist() == [True, False, True]


def test_every_explanation_is_a_property():
    checks = toronto.RECIPE.checks
    properties = {check.quantity for check in checks if isinstance(check, Property)}
    published = [check for check in checks if isinstance(check, Published)]
    assert [check.published for check in published] == [
        0.0918,
        0.9842,
        0.3018,
        0.9143,
        0.0918,
        0.9842,
    ]
    assert {check.explained_by for check in published} - {""} <= properties
    assert [bool(check.explained_by) for check in published] == 4 * [True] + 2 * [False]
    assert {check.explained_by for check in published[2:4]} == {toronto.MORE_IMPROVES}


def test_a_short_run_on_letters(data_dir, tmp_path):
    short = {"seeds": (0, 1), "epochs": 2, "hidden": (8,)}
    setting = Setting("numpy", "cpu", data_dir, quick=True)
    trainings = {name: replace(t, quick=short) for name, t in toronto.TRAININGS.items()}
    results = Results(setting, {name: train(t, setting) for name, t in trainings.items()})
    rows = judge(toronto.RECIPE.checks, results)
    assert [row.quantity for row in rows if not row.is_good] == []
    first, second = (run.trainer.data for run in results.runs(toronto.AS_LOADED))
    assert not np.array_equal(first.train.y, second.train.y)
    assert first.train.x.max() == 1.0
    more = results.runs(toronto.MORE)[0].trainer.data
    np.testing.assert_array_equal(more.validation.x, first.validation.x)
    counts = list(toronto.row_counts(results).values())
    assert counts == [len(first.train), len(more.train), len(more.train) + len(first.validation)]
    assert "that repeat another" in toronto.twin_table(results)
    for picture in toronto.RECIPE.pictures:
        assert save(picture.draw(results), tmp_path / f"{picture.name}.png").stat().st_size
