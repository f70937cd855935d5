"""Nets on rows of their own train in one step, each as it would alone."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.native import native_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.members import Members
from xpmlp.training.pool import pool
from xpmlp.training.setup import problems_for
from xpmlp.training.trainer import Trainer

BASE = Config(hidden=(6,), epochs=4, batch_size=8, dtype="float64", optimizer="adam")


def folds(counts, weighted=()):
    """Return data sets that have so many of the same rows to train on."""
    data = make_dataset()
    rng = np.random.default_rng(0)
    made = []
    for fold, count in enumerate(counts):
        some = rng.permutation(len(data.train))[:count]
        weights = rng.uniform(0.5, 2.0, count) if fold in weighted else None
        rows = Rows(data.train.x[some], data.train.y[some], weights)
        made.append(replace(data, train=rows, validation=data.validation if fold else data.test))
    return made


def candidates(**options):
    base = BASE.replace(**options)
    return [base, base.replace(learning_rate=0.02, beta1=0.5, seed=3), base.replace(l2=0.1)]


def trained(configs, parts, backend, together):
    """Return the trainers of all configs on all parts, trained, and the shapes of their steps."""
    problems = [problems_for(configs, part, backend) for part in parts]
    if together:
        pool([of_part[0] for of_part in problems])
    trainers = [
        Trainer(config, part, backend, problem=problem, score_train=False)
        for part, of_part in zip(parts, problems, strict=True)
        for config, problem in zip(configs, of_part, strict=True)
    ]
    for members in [Members(trainers)] if together else [Members([one]) for one in trainers]:
        assert all(list(members.epochs()))
    return trainers


def assert_as_alone(configs, parts, backend):
    alone = trained(configs, parts, backend, together=False)
    for mine, own in zip(trained(configs, parts, backend, together=True), alone, strict=True):
        assert relative_distance(mine.params, own.params) < 1e-10
        np.testing.assert_allclose(mine.history.steps, own.history.steps, rtol=1e-9, atol=1e-12)
        for one, other in zip(mine.history.epochs, own.history.epochs, strict=True):
            assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-9)


@pytest.mark.parametrize(
    ("counts", "weighted", "options"),
    [
        ((20, 20), (), {"l2_per": "row", "l2": 0.2}),
        ((21, 19, 20), (1,), {"l2_per": "row", "dropout": 0.3, "l2": 0.2}),
    ],
    ids=["as many", "ragged, weighted"],
)
def test_each_is_the_net_that_it_would_be_alone(backend, counts, weighted, options):
    assert_as_alone(candidates(**options), folds(counts, weighted), backend)


def test_compiled_for_the_processor():
    assert_as_alone(candidates(compile="always"), folds((21, 19)), native_or_skip())


def test_members_leave_one_by_one():
    configs = candidates(early_stopping=1, epochs=12, learning_rate=0.3)
    assert_as_alone(configs, folds((20, 19)), load_or_skip("numpy"))


def test_one_epoch_is_one_call_however_many_sets_of_rows(monkeypatch):
    seen, backend = [], load_or_skip("numpy")
    run_epoch = type(backend).run_epoch

    def counted(self, step, state, *rest):
        seen.append(state.params[0].W.shape)
        return run_epoch(self, step, state, *rest)

    monkeypatch.setattr(type(backend), "run_epoch", counted)
    monkeypatch.setattr(Backend, "prefers_ensembles", lambda *_, **__: True)
    trained(candidates(), folds((20, 20)), backend, together=True)
    assert seen == [(6, 4, 6)] * 4


def test_other_nets_are_refused():
    backend = load_or_skip("numpy")
    one, other = folds((20, 20))
    problems = [*problems_for([BASE], one, backend), *problems_for([BASE], other, backend)]
    wider = problems_for([BASE.replace(hidden=(7,))], other, backend)
    with pytest.raises(InputError, match="must have the same net, backend and numbers"):
        pool([*problems, *wider])
