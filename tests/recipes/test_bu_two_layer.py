"""What needs no data on every backend, the figures that are read, and a short run on MNIST."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import UNCOMPILED_BACKENDS, load_or_skip
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.pictures.style import save
from xpmlp.recipes import bu_two_layer as bu
from xpmlp.recipes.base import Golden, Property, Published, Results, Setting, train
from xpmlp.recipes.five_rows import check_arrays, given_net, given_rows, untrained_loss
from xpmlp.recipes.formulas import derived, penalty_rule_holds, small_net, small_rows
from xpmlp.recipes.verdicts import judge
from xpmlp.training.history import EpochRecord, History
from xpmlp.types import Affine

WITHOUT_DATA = [
    check
    for check in bu.RECIPE.checks
    if isinstance(check, Golden) or (isinstance(check, Property) and check.quick)
]


def untrained(name="numpy"):
    load_or_skip(name)
    return Results(Setting(backend=name, device="cpu"), {})


@pytest.mark.parametrize("name", UNCOMPILED_BACKENDS)
def test_checks_without_data_on_every_backend(name):
    rows = judge(WITHOUT_DATA, untrained(name))
    assert [row.quantity for row in rows if row.verdict not in ("exact", "holds")] == []
    assert [row.kind for row in rows] == ["golden"] * 4 + ["property"] * 6


def test_the_five_rows_are_those_of_the_legacy_generator():
    W1 = given_net()[0].W
    assert W1[0, 0] == pytest.approx(0.1764052345967664, rel=1e-15)
    assert given_rows().x[0, 0] == pytest.approx(16.243453636632417, rel=1e-15)
    assert not given_net()[1].b.any()


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_the_untrained_loss_by_plain_numpy(activation):
    (W1, _), (W2, _) = given_net()
    x, y = given_rows().x, given_rows().y
    h = 1 / (1 + np.exp(-(x @ W1))) if activation == "sigmoid" else np.maximum(x @ W1, 0)
    scores = np.exp(h @ W2)
    p = scores / scores.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(5), y]).mean() + 0.05 * ((W1**2).sum() + (W2**2).sum())
    assert untrained_loss(untrained(), activation) == pytest.approx(loss, rel=1e-13)


def test_every_array_of_both_nets_is_checked():
    checks = check_arrays(untrained())
    assert {name: [c.entries for c in found] for name, found in checks.items()} == {
        "sigmoid": [40, 10, 30, 3],
        "relu": [40, 10, 30, 3],
    }


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_the_derived_gradients_are_slopes_of_the_derived_loss(activation):
    net, x = small_net(outputs=1), small_rows().x
    y = (small_rows().y[:, None] > 0).astype(float)
    found = derived(net, x, y, activation)
    for i, name in ((0, "1"), (1, "2")):
        for leaf in Affine._fields:
            array = getattr(net[i], leaf)
            slopes = np.empty_like(array)
            for entry in np.ndindex(array.shape):
                losses = []
                for shift in (1e-6, -1e-6):
                    moved = array.copy()
                    moved[entry] += shift
                    other = list(net)
                    other[i] = net[i]._replace(**{leaf: moved})
                    losses.append(derived(tuple(other), x, y, activation)["loss"])
                slopes[entry] = (losses[0] - losses[1]) / 2e-6
            np.testing.assert_allclose(found[f"∇{leaf}{name}"], slopes, rtol=0, atol=1e-8)


def test_a_wrong_rule_does_not_hold():
    wrong = [
        penalty_rule_holds(untrained(), lambda W: 0.05 * W, l2=0.1),
        penalty_rule_holds(untrained(), lambda W: -0.05 * np.sign(W), l1=0.05),
    ]
    assert [holds for holds, _ in wrong] == [False, False]


def test_the_shuffled_images_are_centred_by_the_training_mean(monkeypatch):
    x = np.stack([np.arange(70_000.0), np.full(70_000, 7.0)], axis=1).astype(np.float32)
    y = np.arange(70_000) % 10
    ends = ((0, 50_000), (50_000, 60_000), (60_000, 70_000))
    parts = [Rows(x[a:b], y[a:b]) for a, b in ends]
    canonical = Dataset("mnist", "classification", *parts, tuple("0123456789"))
    monkeypatch.setattr(bu, "load_for", lambda config: canonical)
    data = bu.shuffled_and_centred(bu.MNIST.replace(data_seed=3))
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [50_000, 10_000, 10_000]
    assert data.scale == "center"
    assert abs(data.train.x[:, 0].mean(dtype=float)) < 0.01
    assert not data.train.x[:, 1].any()
    raw = np.concatenate([part.x for part in parts])[:, 0] + data.scaling.shift[0]
    numbers = np.rint(raw).astype(int)
    np.testing.assert_array_equal(numbers % 10, np.concatenate([part.y for part in parts]))
    np.testing.assert_array_equal(np.sort(numbers), np.arange(70_000))
    again = bu.shuffled_and_centred(bu.MNIST.replace(data_seed=4))
    assert not np.array_equal(again.train.y, data.train.y)


def run_of(**figures):
    """Two epochs of two steps: losses 1 to 4, penalties 10 to 40."""
    history = History(("loss", "penalty"))
    for epoch, validation in ((0, 0.25), (1, 0.5)):
        steps = np.array([[1.0, 10.0], [2.0, 20.0]]) + epoch * np.array([2.0, 20.0])
        record = EpochRecord(epoch + 1, 1.0, 0.0, 0.0, 0.0, validation, 1.0, 1.0)
        history.append(record, steps, np.ones(2))
    record = SimpleNamespace(train_accuracy=0.75, **{"validation_accuracy": 0.5, **figures})
    return SimpleNamespace(history=history, record=record, test=SimpleNamespace(accuracy=0.875))


def test_which_figures_are_read():
    assert {name: read([run_of()]) for name, read in bu.FIGURES.items()} == {
        "test accuracy": [0.875],
        "validation accuracy": [0.5],
        "training accuracy": [0.75],
        "validation accuracy after epoch 1": [0.25],
        "printed loss of epoch 1": [22.0],
    }


@pytest.mark.parametrize(
    ("with_it", "without", "holds"),
    [
        ((0.964, 0.966, 0.968), (0.9695, 0.97, 0.9705), True),
        ((0.964, 0.966, 0.968), (0.968, 0.969, 0.970), False),
        ((0.980, 0.981, 0.982), (0.9695, 0.97, 0.9705), False),
    ],
)
def test_what_explains_a_figure(with_it, without, holds):
    """The published one is 0.966: 8 sd below 0.97 ± 0.0005, and exactly 3 below 0.969 ± 0.001."""
    trained = {
        name: {"relu": [run_of(validation_accuracy=value) for value in found]}
        for name, found in (("a", with_it), ("b", without))
    }
    results = Results(Setting(), trained)
    assert bu.explains(results, bu.VALIDATION, with_it=("a",), without="b")[0] is holds


def test_every_published_figure_stands_beside_both_loaders():
    published = [check for check in bu.RECIPE.checks if isinstance(check, Published)]
    assert len(published) == 2 * 2 * 5
    explained = {check.quantity: check.explained_by for check in published if check.explained_by}
    quantities = {check.quantity for check in bu.RECIPE.checks}
    assert list(explained) == ["validation accuracy after epoch 1, ReLU, canonical files, raw"]
    assert {*explained.values()} <= quantities
    assert len(quantities) == len(bu.RECIPE.checks)


def test_a_short_run_on_mnist(data_dir, tmp_path):
    short = {"seeds": (0, 1), "epochs": 1, "hidden": (8,)}
    setting = Setting("numpy", "cpu", data_dir, quick=True)
    trainings = {name: replace(t, quick=short) for name, t in bu.RECIPE.trainings.items()}
    results = Results(setting, {name: train(t, setting) for name, t in trainings.items()})
    rows = judge(bu.RECIPE.checks, results)
    assert [row.quantity for row in rows if not row.is_good] == []
    shuffled, raw, centred = (
        [run.trainer.data for run in results.runs(name, "relu")]
        for name in (bu.LIKELY, bu.RAW, bu.CENTRED)
    )
    assert not np.array_equal(shuffled[0].train.y, shuffled[1].train.y)
    assert raw[0] is raw[1]
    assert raw[0].train.x.max() == 255.0
    assert centred[0].train.x.min() < 0
    for part in (shuffled[0], raw[0], centred[0]):
        assert (len(part.train), len(part.validation), len(part.test)) == (50_000, 10_000, 10_000)
    for picture in bu.RECIPE.pictures:
        assert save(picture.draw(results), tmp_path / f"{picture.name}.png").stat().st_size
