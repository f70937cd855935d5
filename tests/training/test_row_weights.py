"""Rows that count more: a weight of k is k equal rows, in training and in every score."""

from dataclasses import replace

import numpy as np
import pytest

from tests.problems import make_dataset, make_regression, relative_distance
from xpmlp.data.resplit import resplit
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config

FULL_BATCH = Config(
    hidden=(5,), epochs=20, batch_size=0, optimizer="momentum", learning_rate=0.05, dtype="float64"
)


def weighted(rows, weights):
    return replace(rows, weights=weights)


def repeated(rows, counts):
    return replace(rows, x=np.repeat(rows.x, counts, axis=0), y=np.repeat(rows.y, counts, axis=0))


def both(data, seed=0):
    """Return the data with random counts as weights, and with that many equal rows."""
    rng, parts = np.random.default_rng(seed), ("train", "validation", "test")
    counts = {part: rng.integers(1, 4, len(getattr(data, part))) for part in parts}
    first = {part: weighted(getattr(data, part), counts[part] * 0.5) for part in parts}
    second = {part: repeated(getattr(data, part), counts[part]) for part in parts}
    return replace(data, **first), replace(data, **second)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy"])
def test_a_weight_is_so_many_equal_rows(backend, loss):
    config = FULL_BATCH.replace(loss=loss, l2=0.01)
    ours, copies = (fit(config, data, backend=backend) for data in both(make_dataset()))
    assert relative_distance(ours.model.params, copies.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, copies.history.steps, rtol=1e-9)
    for mine, theirs in zip(ours.history.epochs, copies.history.epochs, strict=True):
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            assert getattr(mine, name) == pytest.approx(getattr(theirs, name), rel=1e-9)
    assert ours.test.accuracy == pytest.approx(copies.test.accuracy, rel=1e-12)
    assert ours.test.loss == pytest.approx(copies.test.loss, rel=1e-9)


def test_regression_too(backend):
    config = FULL_BATCH.replace(learning_rate=0.01)
    ours, copies = (fit(config, data, backend=backend) for data in both(make_regression()))
    assert relative_distance(ours.model.params, copies.model.params) < 1e-9
    assert ours.test.accuracy is None


def test_equal_weights_are_none(backend):
    data = make_dataset()
    config = FULL_BATCH.replace(batch_size=7)
    alike = replace(data, train=weighted(data.train, np.full(30, 0.2)))
    ours, plain = fit(config, alike, backend=backend), fit(config, data, backend=backend)
    assert relative_distance(ours.model.params, plain.model.params) < 1e-9


def test_weights_follow_their_rows_into_batches_and_members(backend):
    """In batches of one row the weight cancels; so it does in each member of an ensemble."""
    data = make_dataset()
    heavy = replace(data, train=weighted(data.train, np.random.default_rng(0).random(30) + 0.1))
    config = FULL_BATCH.replace(batch_size=1, epochs=2, seeds=(0, 1))
    for one, other in zip(
        fit_many(config.members(), heavy, backend=backend),
        fit_many(config.members(), data, backend=backend),
        strict=True,
    ):
        assert relative_distance(one.model.params, other.model.params) < 1e-9
    batches = [
        fit(FULL_BATCH.replace(batch_size=8), rows, backend=backend) for rows in (heavy, data)
    ]
    assert relative_distance(*(run.model.params for run in batches)) > 1e-3


@pytest.mark.parametrize(
    "weights", [np.ones(29), np.ones((30, 1)), np.r_[0.0, np.ones(29)], np.r_[np.nan, np.ones(29)]]
)
def test_weights_that_mean_nothing_are_refused(weights):
    data = make_dataset()
    with pytest.raises(InputError, match=r"train rows: weights must be \(30,\), positive and"):
        fit(FULL_BATCH, replace(data, train=weighted(data.train, weights)))


def test_a_run_with_other_weights_is_another_run():
    data = make_dataset()
    run = fit(FULL_BATCH.replace(epochs=1), data)
    heavy = replace(data, train=weighted(data.train, np.arange(1.0, 31.0)))
    other = fit(FULL_BATCH.replace(epochs=1), heavy)
    with pytest.raises(InputError, match="are not those that the run began with"):
        other.trainer.resume(run.trainer.checkpoint())


def test_a_new_split_keeps_each_rows_weight():
    data = make_dataset()
    marked = replace(data, train=weighted(data.train, data.train.x[:, 0] ** 2 + 1))
    again = resplit(marked, 3, 40, 20)
    was = {tuple(x): w for x, w in zip(data.train.x, marked.train.weights, strict=True)}
    for rows in (again.train, again.validation, again.test):
        for x, weight in zip(rows.x, rows.weights, strict=True):
            assert weight == was.get(tuple(x), 1.0)
