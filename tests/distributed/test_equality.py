"""Ranks that share every step train the net that one process trains: within 1e-10, and to the bit
the same each time."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.distributed.crew import Crew
from tests.problems import make_dataset, make_regression, relative_distance
from xpmlp.distributed.backend import over_ranks
from xpmlp.leaves import leaves
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.config import Config
from xpmlp.training.members import Members
from xpmlp.training.problem import Problem
from xpmlp.training.trainer import Trainer

BASE = Config(hidden=(6, 5), epochs=3, batch_size=11, dtype="float64", compile="never")
ROWS = make_dataset(rows=3 * 37)  # 37 train: three batches of 11 and one of 4


def weighted(data):
    weights = np.random.default_rng(5).uniform(0.1, 2.0, len(data.train))
    return replace(data, train=replace(data.train, weights=weights))


def trained(config, data, backend):
    trainer = Trainer(config, data, backend)
    assert list(trainer.epochs())
    return trainer


def by_ranks(size, config, data, name="numpy"):
    def task(ranks):
        return trained(config, data, over_ranks(load_or_skip(name), ranks))

    return Crew(size).run(task)


def assert_as_one(size, config, data, name="numpy"):
    if name != "numpy":
        config = config.replace(compile="auto", backend=name)
    alone = trained(config, data, load_or_skip(name))
    for one in by_ranks(size, config, data, name):
        assert relative_distance(one.params, alone.params) < 1e-10
        moments = zip(leaves(one.state.moments), leaves(alone.state.moments), strict=True)
        for mine, its in moments:
            np.testing.assert_allclose(np.asarray(mine), np.asarray(its), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(one.history.steps, alone.history.steps, rtol=1e-9, atol=1e-12)
        for mine, its in zip(one.history.epochs, alone.history.epochs, strict=True):
            assert abs(mine.train_loss - its.train_loss) < 1e-10
            assert abs(mine.validation_loss - its.validation_loss) < 1e-10
            assert mine.validation_accuracy == its.validation_accuracy


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer):
    assert_as_one(3, BASE.replace(optimizer=optimizer, learning_rate=0.02), ROWS)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"batch_size": 2}, False),  # fewer rows than ranks: some have none
        ({"batch_size": 0, "dropout": (0.4,)}, False),  # all rows in each step
        ({"dropout": (0.3, 0.5), "clip_norm": 0.05, "l2": 0.1, "l1": 0.01}, False),
        ({"l2": 0.5, "l2_per": "row", "optimizer": "adamw", "label_smoothing": 0.1}, True),
        ({"l2": 0.5, "l2_per": "row", "freeze": 1, "early_stopping": 1}, True),
    ],
    ids=["few rows", "one batch", "dropout and clipping", "weights", "frozen and stopped"],
)
def test_every_number_of_ranks(size, options, weights):
    data = weighted(ROWS) if weights else ROWS
    assert_as_one(size, BASE.replace(**options), data)


def test_values():
    config = BASE.replace(learning_rate=0.01, batch_size=7)
    assert_as_one(3, config, weighted(make_regression()))


@pytest.mark.parametrize("name", ["array-api-strict", "torch"])
def test_every_library(name):
    assert_as_one(2, BASE.replace(dropout=(0.3,), clip_norm=0.1), weighted(ROWS), name)


def test_early_stopping_stops_all_ranks_at_the_epoch_of_one():
    config = BASE.replace(epochs=40, early_stopping=2, learning_rate=0.5)
    alone = trained(config, ROWS, load_or_skip("numpy"))
    assert len(alone.history.epochs) < 40
    for one in by_ranks(3, config, ROWS):
        assert one.stopping.best_epoch == alone.stopping.best_epoch
        assert len(one.history.epochs) == len(alone.history.epochs)
        assert relative_distance(one.params, alone.params) < 1e-10


def test_two_runs_of_as_many_ranks_are_equal_to_the_bit_and_so_are_their_ranks():
    config = BASE.replace(dropout=(0.3,), optimizer="adam")
    first, second = (by_ranks(3, config, weighted(ROWS)) for _ in range(2))
    for one in (*first, *second):
        for mine, its in zip(leaves(one.state), leaves(first[0].state), strict=True):
            np.testing.assert_array_equal(mine, its)
        np.testing.assert_array_equal(one.history.steps, first[0].history.steps)


def test_members_of_an_ensemble_share_their_steps_too():
    configs = [BASE.replace(seed=seed, dropout=(0.2,), clip_norm=0.1) for seed in (3, 4, 5)]

    def task(ranks):
        backend = over_ranks(load_or_skip("numpy"), ranks)
        problem = Problem(configs[0], weighted(ROWS), backend)
        trainers = [Trainer(c, weighted(ROWS), backend, problem=problem) for c in configs]
        assert all(list(Members(trainers).epochs()))
        return trainers

    for trainers in Crew(2).run(task):
        for config, one in zip(configs, trainers, strict=True):
            alone = trained(config, weighted(ROWS), load_or_skip("numpy"))
            assert relative_distance(one.params, alone.params) < 1e-10


def test_a_step_is_one_all_reduce():
    def sums(epochs):
        def task(ranks):
            config = BASE.replace(epochs=epochs, dropout=(0.3,), clip_norm=1.0)
            trained(config, ROWS, over_ranks(load_or_skip("numpy"), ranks))
            return ranks.sums

        return Crew(2).run(task)

    scores_and_times = 3  # of training and validation rows, and what the steps took
    steps = -(-len(ROWS.train) // BASE.batch_size)
    for one, two in zip(sums(1), sums(2), strict=True):
        assert two - one == steps + scores_and_times


def test_a_run_of_some_ranks_goes_on_with_others():
    config = BASE.replace(dropout=(0.3,), optimizer="adam")
    half = by_ranks(3, config.replace(epochs=2, lr_schedule="constant"), ROWS)[0].checkpoint()
    config = config.replace(lr_schedule="constant")

    def task(ranks):
        trainer = Trainer(config, ROWS, over_ranks(load_or_skip("numpy"), ranks))
        trainer.resume(half)
        assert list(trainer.epochs())
        return trainer

    alone = trained(config, ROWS, load_or_skip("numpy"))
    for size in (1, 2):
        for one in Crew(size).run(task):
            assert relative_distance(one.params, alone.params) < 1e-10
