"""Many nets over ranks: each net is as it would be alone, and rank 0 has all of them."""

import numpy as np

from tests.conftest import load_or_skip
from tests.distributed.crew import Crew
from tests.problems import make_dataset
from xpmlp.distributed.ranks import any_of
from xpmlp.distributed.spreading import SpreadMembers, gathered
from xpmlp.leaves import leaves
from xpmlp.training.config import Config
from xpmlp.training.setup import make_members

DATA = make_dataset()
BASE = Config(hidden=(5,), epochs=6, batch_size=8, dtype="float64", compile="never")
CONFIGS = [BASE.replace(seed=seed, early_stopping=1 + seed % 2) for seed in range(5)]


def members_of(configs):
    return make_members(configs, DATA, load_or_skip("numpy"))


def spread(size, configs, until=None):
    """Return the members of each rank; until: after how many yields rank 2 wishes to stop."""

    def task(ranks):
        members = SpreadMembers(members_of(configs), ranks)
        epochs = members.epochs()
        for count, _ in enumerate(epochs, 1):
            if any_of(ranks, ranks.rank == 2 and count == until):
                epochs.close()
        return members

    return Crew(size).run(task)


def assert_as_alone(trainers, configs, epochs=None):
    for config, trainer in zip(configs, trainers, strict=True):
        (alone,) = members_of([config]).trainers
        list(alone.epochs())
        done = epochs or len(alone.history.epochs)
        assert len(trainer.history.epochs) == min(done, len(alone.history.epochs))
        if epochs is None:
            for mine, its in zip(leaves(trainer.params), leaves(alone.params), strict=True):
                np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-12)


def test_rank_0_has_every_net_as_it_would_be_alone():
    for size in (2, 3, 7):  # of 7 two have none
        first, *others = spread(size, CONFIGS)
        assert_as_alone(first.trainers, CONFIGS)
        assert all(members.finished for members in (first, *others))


def test_a_wish_to_stop_leaves_all_where_they_stand():
    first, *_ = spread(3, [config.replace(early_stopping=0) for config in CONFIGS], until=2)
    assert {trainer.place for trainer in first.trainers} == {(2, 0)}
    assert not first.finished


def test_a_net_that_fails_fails_alone():
    configs = [*CONFIGS[:3], BASE.replace(seed=9, learning_rate=1e200, early_stopping=1)]
    first, *_ = spread(2, configs)
    assert list(first.failures) == [3]
    assert "the loss became" in str(first.failures[3])
    assert_as_alone(first.trainers[:3], configs[:3])


def test_values_of_all_ranks_are_gathered():
    for found in Crew(3).run(lambda ranks: gathered(ranks, "a" * ranks.rank)):
        assert found == ["", "a", "aa"]
