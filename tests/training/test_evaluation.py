"""How many rows are evaluated at once."""

from itertools import pairwise

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.backends.base import blocks
from xpmlp.training import evaluation
from xpmlp.training.config import Config
from xpmlp.training.evaluation import ON_ONE_CORE, rows_at_once
from xpmlp.training.trainer import Trainer
from xpmlp.types import Affine


def net(*sizes, members=()):
    return tuple(
        Affine(np.zeros((*members, d, h)), np.zeros((*members, h))) for d, h in pairwise(sizes)
    )


@pytest.mark.parametrize(
    ("params", "device", "expected"),
    [
        (net(784, 100, 10), "cpu", 1000),
        (net(4, 3), "cpu", 1000),
        (net(20, 100, 10), "cpu", 500),
        (net(10, 20, 200, 5), "cpu", 250),
        (net(64, 100, 10), "cpu", 1000),
        (net(784, 64, 10, members=(64,)), "cpu", 156),
        (net(20, 100, 10, members=(64,)), "cpu", 156),
        (net(20, 100, 10), "cuda:0", 10_000),
        (net(20, 100, 10, members=(20_000,)), "cuda:0", 1),
        (net(3, 16, 100_000), "cpu", 200),
        (net(3, 16, 100_000), "cuda:0", 200),
        (net(3, 16, 10**8), "cuda:0", 1),
    ],
)
def test_a_small_net_takes_as_many_rows_as_stay_on_one_core(params, device, expected):
    assert rows_at_once(device, params) == expected
    if expected in (250, 500):
        assert expected * max(layer.W.size for layer in params) == ON_ONE_CORE


@pytest.mark.parametrize(("n", "most"), [(0, 3), (1, 3), (3, 3), (7, 3), (9, 3)])
def test_blocks_have_every_row_once(n, most):
    rows = [np.arange(n)[block] for block in blocks(n, most)]
    assert all(0 < len(block) <= most for block in rows)
    np.testing.assert_array_equal(np.concatenate([[], *rows]), np.arange(n))


def test_the_logits_of_very_many_classes_are_let_go(monkeypatch):
    """Of 3 outputs and 30 rows 10 blocks of 3 are made, four at most at once; the scores stay."""
    backend = load_or_skip("numpy")
    trainer = Trainer(Config(hidden=(4,), dtype="float64"), make_dataset(), backend)
    evaluator, sets = trainer.problem.evaluator, (trainer.problem.train,)
    ((whole,),) = evaluator.scores(trainer.params, sets)
    monkeypatch.setattr(evaluation, "LOGITS_AT_ONCE", 40)
    monkeypatch.setattr(evaluation, "CPU_EVALUATION_ROWS", 3)
    seen, run_rows = [], backend.run_rows

    def watched(function, params, rows, most):
        seen.append((rows.x.shape[0], most))
        return run_rows(function, params, rows, most)

    monkeypatch.setattr(backend, "run_rows", watched)
    ((parted,),) = evaluator.scores(trainer.params, sets)
    assert seen == [(12, 3), (12, 3), (6, 3)]
    assert parted == pytest.approx(whole, rel=1e-12)
