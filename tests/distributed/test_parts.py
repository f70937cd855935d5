"""Shares of rows, means over parts, and what is said where ranks can't share a step."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.distributed.crew import Crew
from tests.problems import make_dataset
from xpmlp.backends.base import EpochPlan
from xpmlp.distributed.backend import over_ranks
from xpmlp.distributed.costs import Costs, costs_text
from xpmlp.distributed.following import check_alike
from xpmlp.distributed.mean import Exchange
from xpmlp.distributed.ranks import any_of, first_then_others, of_first, only_first, table_of
from xpmlp.distributed.shares import share, shift_of, stretches
from xpmlp.errors import InputError, RunError
from xpmlp.nn.dropout import row_hashes
from xpmlp.training.config import Config
from xpmlp.training.members import Members
from xpmlp.training.trainer import Trainer


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 128])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_shares_part_the_rows_evenly(rows, size):
    shares = [share(rows, rank, size) for rank in range(size)]
    assert [i for one in shares for i in range(rows)[one]] == list(range(rows))
    lengths = [one.stop - one.start for one in shares]
    assert max(lengths) - min(lengths) <= 1


def test_stretches_are_the_full_batches_and_the_rest():
    plan = EpochPlan(np.arange(10, 20), 4, np.array([0.3, 0.2, 0.1]))
    (full, _, counts), (rest, shift, some) = stretches(plan, 10, 1, 2)
    assert (full.order.tolist(), full.batch_size, counts) == ([12, 13, 16, 17], 2, 1.0)
    assert full.learning_rates.tolist() == [0.3, 0.2]
    assert (rest.order.tolist(), rest.batch_size, shift) == ([19], 1, shift_of(1))
    assert some == 1.0
    *_, (rest, _, counts) = stretches(plan, 10, 0, 3)  # two rows for three ranks
    assert (rest.order.tolist(), rest.batch_size, counts) == ([18], 1, 0.0)


def test_orders_of_members_are_parted_alike():
    orders = np.stack([np.arange(6), np.arange(6)[::-1]])
    (own,) = stretches(EpochPlan(orders, 3, np.ones((2, 2))), 6, 1, 3)
    assert own.plan.order.tolist() == [[1, 4], [4, 1]]


@pytest.mark.parametrize("first", [0, 1, 77, 100_000])
def test_a_shifted_counter_gives_the_masks_of_later_rows(first):
    seed = np.int32(7)
    whole = row_hashes(np, first + 5, np.asarray(12), seed, None)
    part = row_hashes(np, 5, np.asarray(12 + shift_of(first)), seed, None)
    np.testing.assert_array_equal(part, whole[first:])
    assert abs(shift_of(first)) <= 2**31


def test_means_of_parts_are_those_of_the_whole():
    losses, leaves = np.array([1.0, 4.0]), np.array([[[1.0, 2.0]], [[5.0, 0.0]]])
    weights = np.array([3.0, 1.0])

    def task(ranks):
        out, mine = np.empty(4), ranks.rank
        parts = [losses[mine, ...].reshape(()), leaves[mine]]
        Exchange(ranks).call(out, parts, weights[mine, ...].reshape(()))()
        return out

    for out in Crew(2).run(task):
        assert out.tolist() == [1.75, 2.0, 1.5, 4.0]


def test_a_part_that_weighs_nothing_leaves_no_trace_of_its_nan():
    def task(ranks):
        out = np.empty((2, 3))
        nothing = ranks.rank == 1
        loss = np.array([np.nan, 3.0]) if nothing else np.array([2.0, 1.0])
        leaf = np.array([[np.nan], [1.0]]) if nothing else np.array([[4.0], [3.0]])
        weight = np.array([0.0, 1.0]) if nothing else np.array([2.0, 1.0])
        Exchange(ranks).call(out, [loss, leaf], weight)()
        return out

    for out in Crew(2).run(task):
        assert out.tolist() == [[2.0, 4.0, 2.0], [2.0, 2.0, 2.0]]


def test_what_rank_0_makes_or_raises_every_rank_has():
    def task(ranks):
        mine = of_first(ranks, lambda: 5 + ranks.rank)
        only, each = only_first(ranks, lambda: "a"), first_then_others(ranks, lambda: ranks.rank)
        with pytest.raises(InputError, match="no such"):
            of_first(ranks, refuse)
        return mine, only, each, any_of(ranks, ranks.rank == 2), any_of(ranks, False)

    def refuse():
        raise InputError("no such folder")

    found = Crew(3).run(task)
    assert found == [(5, "a", 0, True, False), (5, None, 1, True, False), (5, None, 2, True, False)]


def test_a_table_has_a_row_of_each_rank():
    for table in Crew(2).run(lambda ranks: table_of(ranks, np.array([ranks.rank, 7]))):
        assert table.tolist() == [[0, 7], [1, 7]]


def test_who_comes_last_waits_for_nobody():
    costs = Costs()
    costs.add(np.array([1.0, 1.0]), np.array([[0.25, 0.125], [0.125, 0.25]]), 80)
    figures = costs.figures(2)
    assert figures["computing_seconds_per_step"] == 0.3125
    assert figures["communicating_seconds_per_step"] == 0.125
    assert figures["waiting_seconds_per_step"] == 0.0625
    assert costs_text(figures) == (
        "2 ranks: a step is 312 ms computing, 125 ms communicating, 62.5 ms waiting "
        "(means over ranks); 80 bytes in its all-reduce"
    )


def test_ranks_that_read_other_rows_are_named():
    def task(ranks):
        data = make_dataset(seed=int(ranks.rank == 1))
        backend = over_ranks(load_or_skip("numpy"), ranks)
        check_alike(Members([Trainer(Config(dtype="float64"), data, backend)]), ranks)

    with pytest.raises(InputError, match=r"^rank 1 has read other rows of blobs than rank 0"):
        Crew(3).run(task)


def test_ranks_that_came_to_other_weights_are_named():
    def task(ranks):
        backend = over_ranks(load_or_skip("numpy"), ranks)
        config = Config(hidden=(4,), dtype="float64", epochs=1, seed=int(ranks.rank == 1))
        list(Trainer(config, make_dataset(), backend).epochs())

    with pytest.raises(RunError, match=r"^rank 1 came to other weights than rank 0"):
        Crew(2).run(task)


def test_compiled_steps_are_refused_and_a_gpu_is():
    def compiled(ranks):
        config = Config(dtype="float64", compile="always")
        Trainer(config, make_dataset(), over_ranks(load_or_skip("numpy"), ranks))

    with pytest.raises(InputError, match="compile is always, but 2 processes share each step"):
        Crew(2).run(compiled)
    gpu = load_or_skip("numpy")
    gpu.device = "cuda:0"
    with pytest.raises(InputError, match="choose --device cpu"):
        Crew(2).run(lambda ranks: over_ranks(gpu, ranks))
