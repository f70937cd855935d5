"""A penalty per row: l2 over the count, or the weight, of a step's rows."""

from dataclasses import replace

import numpy as np
import pytest

from tests.problems import make_dataset, relative_distance
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer

CONFIG = Config(hidden=(5,), epochs=3, l2=2.0, learning_rate=0.05, dtype="float64")


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_it_is_l2_over_the_rows_of_a_batch(backend, optimizer):
    """30 rows in batches of 10: a fixed share of l2 each."""
    config = CONFIG.replace(batch_size=10, optimizer=optimizer)
    per_row = fit(config.replace(l2_per="row"), make_dataset(), backend=backend)
    per_batch = fit(config.replace(l2=0.2), make_dataset(), backend=backend)
    assert relative_distance(per_row.model.params, per_batch.model.params) < 1e-12
    other = fit(config, make_dataset(), backend=backend)
    assert relative_distance(per_row.model.params, other.model.params) > 1e-3


def test_a_ragged_batch_counts_its_own_rows(backend):
    """30 rows in batches of 20 and 10: each step's penalty is ½·l2·ΣW² over its rows."""
    config = CONFIG.replace(batch_size=20, epochs=1, l2_per="row", learning_rate=1e-9)
    trainer = Trainer(config, make_dataset(), backend)
    squares = sum((layer.W**2).sum() for layer in backend.fetch(trainer.params))
    next(trainer.epochs())
    penalties = trainer.history.metric("penalty")
    np.testing.assert_allclose(penalties, [squares / 20, squares / 10], rtol=1e-6)


def test_weighted_rows_count_by_their_weight(backend):
    data = make_dataset()
    weights = np.random.default_rng(0).random(30) + 0.1
    config = CONFIG.replace(batch_size=0)
    heavy = replace(data, train=replace(data.train, weights=weights))
    per_row = fit(config.replace(l2_per="row"), heavy, backend=backend)
    per_batch = fit(config.replace(l2=2.0 / weights.sum()), heavy, backend=backend)
    assert relative_distance(per_row.model.params, per_batch.model.params) < 1e-12


def test_members_have_the_penalty_of_their_own_batch(backend):
    data = make_dataset()
    weights = np.random.default_rng(0).random(30) + 0.1
    heavy = replace(data, train=replace(data.train, weights=weights))
    config = CONFIG.replace(batch_size=8, l2_per="row", seeds=(0, 1))
    together = fit_many(config.members(), heavy, backend=backend)
    for run, member in zip(together, config.members(), strict=True):
        alone = fit(member, heavy, backend=backend)
        assert relative_distance(run.model.params, alone.model.params) < 1e-9


def test_another_word_is_refused():
    with pytest.raises(InputError, match="unknown l2_per 'column'.*batch, row"):
        Config(l2_per="column")
