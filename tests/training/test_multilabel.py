"""Several 0/1 labels for each row: one output node and one binary cross-entropy per label."""

from dataclasses import replace

import numpy as np
import pytest

from tests.problems import make_dataset, relative_distance
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import DivergenceError, InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.problem import Problem

CONFIG = Config(hidden=(8,), epochs=30, batch_size=10, learning_rate=0.2, dtype="float64")


def make_labels(labels: int = 2, rows: int = 90) -> Dataset:
    """Labels that half-spaces of the inputs decide; a third of the rows validate, a third test."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 4))
    y = (x @ rng.standard_normal((4, labels)) > 0) * 1.0
    return Dataset("halves", "multilabel", *(Rows(x[i::3], y[i::3]) for i in range(3)), ())


@pytest.mark.parametrize("labels", [1, 2, 3])
def test_each_label_has_a_node(backend, labels):
    run = fit(CONFIG, make_labels(labels), backend=backend)
    assert run.model.loss == "binary_cross_entropy"
    assert run.model.sizes == (4, 8, labels)
    assert run.test.accuracy is None
    assert run.history.epochs[-1].train_loss < 0.3 * labels
    right = (run.test.logits > 0) == make_labels(labels).test.y
    assert right.mean() > 0.85


def test_one_label_is_two_classes():
    labels = make_labels(1)
    parts = {
        name: replace(getattr(labels, name), y=getattr(labels, name).y[:, 0].astype(np.int64))
        for name in ("train", "validation", "test")
    }
    classes = replace(labels, task="classification", class_names=("no", "yes"), **parts)
    config = CONFIG.replace(loss="binary_cross_entropy")
    one, other = fit(CONFIG, labels), fit(config, classes)
    assert relative_distance(one.model.params, other.model.params) == 0.0


def test_what_labels_can_not_be():
    data = make_labels()
    with pytest.raises(
        InputError,
        match="softmax_cross_entropy can't be used: halves has several labels for each row",
    ):
        fit(CONFIG.replace(loss="softmax_cross_entropy"), data)
    twos = replace(data, train=replace(data.train, y=2 * data.train.y))
    with pytest.raises(InputError, match="train rows: y must be 0 or 1 for each label"):
        fit(CONFIG, twos)
    flat = replace(data, train=replace(data.train, y=data.train.y[:, 0]))
    with pytest.raises(InputError, match=r"y must be \(N, O\) and finite"):
        fit(CONFIG, flat)


def test_a_problem_takes_the_steps_of_one_like_it(backend):
    first, data = Problem(CONFIG, make_labels(), backend), make_labels(rows=60)
    again = Problem(CONFIG, data, backend, first)
    assert (again.step, again.start, again.evaluator) == (
        first.step,
        first.start,
        first.evaluator,
    )
    assert again.train.x.shape == (20, 4)
    assert Problem(CONFIG.replace(l2=0.1), data, backend, first).step is not first.step
    assert Problem(CONFIG, make_dataset(), backend, first).step is not first.step


def test_a_loss_that_diverges_has_an_error_of_its_own():
    with pytest.raises(DivergenceError, match="the loss became"):
        fit(CONFIG.replace(learning_rate=1e300, loss="mean_squared_error"), make_labels())
