"""Members that train side by side, and the set of them that is kept."""

from dataclasses import replace

import numpy as np
import pytest

from tests.native import compiled_quickly, native_or_skip
from tests.problems import make_dataset, make_regression
from xpmlp.backends.registry import load
from xpmlp.errors import InputError, RunError
from xpmlp.search.ensemble_training import EnsembleTraining
from xpmlp.search.ranges import Ranges
from xpmlp.training.config import Config
from xpmlp.training.scoring import evaluate_model

RANGES = {"hidden": ((6,), (9,), (5, 4)), "learning_rate": (1e-2, 1e-1), "dropout": (0.0, 0.3)}
BASE = Config(dropout=(0.0,), lr_schedule="constant", batch_size=10, epochs=8, dtype="float64")


def make(data, n=5, patience=0, base=BASE, **ranges):
    if data.task == "regression":
        base = base.replace(loss="mean_squared_error")
    configs = Ranges.of(RANGES | ranges).draw(base, n, np.random.default_rng(0))
    backend = load("numpy", "cpu", "float64")
    return EnsembleTraining(configs, data, backend, patience)


@pytest.mark.parametrize("make_data", [make_dataset, make_regression])
@pytest.mark.parametrize("compile", ["never", "always"])
def test_what_is_kept_has_the_loss_that_was_told(make_data, compile):
    if compile == "always":
        native_or_skip()
    data = make_data()
    with compiled_quickly():
        training = make(data, base=BASE.replace(compile=compile))
        epochs = list(training.epochs())
    assert [epoch.epoch for epoch in epochs] == list(range(1, 9))
    lowest = min(epoch.validation_loss for epoch in epochs)
    found = evaluate_model(training.ensemble(), data, data.validation)
    assert found.loss == pytest.approx(lowest, rel=1e-9)
    alone = [evaluate_model(n, data, data.validation).loss for n in training.ensemble().nets]
    best = evaluate_model(training.best_net(), data, data.validation).loss
    assert best == pytest.approx(min(r["validation_loss"] for r in training.table()), rel=1e-9)
    told = [row["validation_loss"] for row in training.table() if row["count"]]
    assert alone == pytest.approx(told, rel=1e-9)


def test_snapshots_are_of_the_best_epoch_of_each_net():
    data = make_dataset()
    training = make(data)
    list(training.epochs())
    for trainer, snapshot in zip(training.trainers, training.snapshots, strict=True):
        losses = [record.validation_loss for record in trainer.history.epochs]
        assert snapshot.epoch == np.argmin(losses) + 1
        assert snapshot.loss == min(losses)


def test_it_ends_where_the_ensemble_gets_no_better():
    training = make(make_dataset(), patience=3, base=BASE.replace(epochs=400))
    epochs = list(training.epochs())
    assert len(epochs) == training.selected.epoch + 3 < 400
    assert training.finished


def test_a_net_that_diverges_is_left_behind():
    data = make_dataset()
    training = make(data, n=3, activation=("relu",), optimizer=("sgd",))
    bad = training.trainers[1]
    bad.learning_rate = 1e200
    with np.errstate(all="ignore"):
        list(training.epochs())
    assert list(training.members.failures) == [1]
    assert training.counts[1] == 0
    assert training.table()[1]["best_epoch"] is None


def test_where_all_diverge_the_reason_is_told():
    training = make(make_dataset(), n=2, optimizer=("sgd",))
    for trainer in training.trainers:
        trainer.learning_rate = 1e200
    with np.errstate(all="ignore"), pytest.raises(RunError, match="the loss became"):
        list(training.epochs())


def test_no_validation_rows_no_selection():
    data = make_dataset()
    empty = replace(data, validation=replace(data.train, x=data.train.x[:0], y=data.train.y[:0]))
    with pytest.raises(InputError, match="validation rows"):
        make(empty)


def test_before_the_first_epoch_there_is_none():
    with pytest.raises(RunError, match="no epoch has ended"):
        make(make_dataset()).ensemble()
