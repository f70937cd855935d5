"""In which order a CPU computes a step: nothing is read before it is there, nothing too late."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.test_plan import problems
from tests.native import LARGE, SMALL, compiled_step, cut
from tests.thorough import examples
from xpmlp.backends.numpy import native
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.compiler.phases import BY_COLUMNS, BY_INNER, BY_ROWS, ROUND, Schedule, tiles
from xpmlp.nn.initializers import initialize
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.step import Objective, initial_state
from xpmlp.types import Batch, Hyper


class Scheduled(Exception):
    """The schedule of a step, which is as far as these tests go."""


def schedule_of(objective, params, rows, batch_size, dtype="float64", parts=2) -> Schedule:
    """Return the schedule of a step on batches of so many rows; nothing is compiled."""
    backend = NumpyBackend("cpu", dtype)
    batch = backend.put(Batch(*(a if a is None else a[:batch_size] for a in rows)))
    hyper = Hyper(*map(np.float64, (0.1, 0.01, 0.0, 0.9)), np.asarray(7, np.int32))
    state = initial_state(backend.xp, objective, backend.put(params), np.asarray(0))
    step = compiled_step(backend, objective)

    def stop(*arguments, **options):
        raise Scheduled(Schedule(*arguments, **options))

    given = (state, batch, backend.put(hyper), backend.put(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "Schedule", stop)
        patch.setattr(native, "_blas", lambda: None)
        with pytest.raises(Scheduled) as stopped:
            native.NativeSteps(backend.xp, step.make, *given, parts)
    made: Schedule = stopped.value.args[0]
    return made


def schedule(sizes, batch_size=20, optimizer="sgd", parts=2, **options) -> Schedule:
    rng = np.random.default_rng(0)
    objective = Objective(
        ("relu",) * (len(sizes) - 2), "softmax_cross_entropy", optimizer, **options
    )
    rows = Batch(rng.standard_normal((200, sizes[0])), rng.integers(0, sizes[-1], 200))
    params = initialize(np, rng, sizes)
    return schedule_of(objective, params, rows, batch_size, parts=parts)


def chains(made: Schedule) -> list[tuple[str, int]]:
    return [(chain.axis, chain.length) for phase in made.phases for chain in phase]


def assert_in_order(made: Schedule) -> None:
    """Everything is computed once, at or after the stage of what it reads.

    Within a phase that is of the same chain and stands before it there; between two, before it.
    """
    placed = [task for phase in made.phases for chain in phase for task in chain.tasks]
    placed += [task for alone in made.alone for task in alone]
    assert Counter(placed) == Counter(made.tasks)
    order = {task: k for k, task in enumerate(made.tasks)}
    for task in made.tasks:
        assert (task.stage % 2 == 1) == (task.chain is not None)
        for read in task.reads():
            node = read.node.owner
            maker = made.makers.get(made.sums.get(node, node))
            if maker is None or maker is task:
                continue
            there, wanted = maker.written_at(node), task.read_at(read)
            assert there < wanted or (there == wanted and order[maker] < order[task])
            if there == wanted and there % 2:
                assert maker.chain is task.chain


@settings(max_examples=examples(80, few=15), deadline=None)
@given(
    problem=problems(),
    sizes=st.sampled_from([SMALL, LARGE, LARGE | {"SMALL_TASK": 0}, LARGE | {"WIDE": 64}]),
    parts=st.integers(1, 5),
)
def test_nothing_is_read_before_it_is_there(problem, sizes, parts):
    objective, params, rows, plan, _, dtype = problem
    if params[0].W.ndim == 3:
        params = tuple(type(layer)(*(leaf[0] for leaf in layer)) for layer in params)
    with cut(sizes):
        assert_in_order(schedule_of(objective, params, rows, plan.batch_size, dtype, parts))


def test_one_thread_takes_a_small_step_alone():
    made = schedule((9, 12, 3))
    assert (made.phases, len(made.alone)) == ([], 1)


def test_a_large_step_has_a_phase_forth_and_back_and_one_of_updates():
    """Rows stay in one tile from the inputs to the gradients; weights are updated tile by tile."""
    made = schedule((64, 100, 10), batch_size=128, gradient_norms=False)
    assert [len(phase) for phase in made.phases] == [1, 2]
    assert chains(made)[0] == (BY_ROWS, 128)
    assert set(chains(made)[1:]) == {(BY_ROWS, 100), (BY_ROWS, 64)}


def test_wide_weights_are_parted_so_that_a_core_keeps_its_own():
    """By the inner axis where there are few rows, else by columns; never by rows."""
    few, many = schedule((784, 300, 10), 64), schedule((400, 300, 10), 1000)
    assert chains(few)[0] == (BY_INNER, 784)
    assert (BY_COLUMNS, 300) not in chains(many)
    assert (BY_COLUMNS, 300) in chains(schedule((130, 300, 200, 10), 96))
    for made in (few, many):
        assert_in_order(made)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [5, 128])
def test_new_weights_are_written_over_the_old(optimizer, batch_size):
    made = schedule((64, 100, 10), batch_size, optimizer, l2=True)
    assert not any(new.form[0] for new, _ in made.copies)  # but the count of steps
    assert made.homes


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("length", [1, 2, 5, 16, 31, 32, 96, 97, 128, 300, 784])
def test_tiles_are_all_there_is_in_its_order(length, parts):
    made = tiles(length, parts)
    assert [k for begin, end in made for k in range(begin, end)] == list(range(length))
    assert len(made) == min(parts, length)
    if length >= 2 * ROUND * parts:
        assert all(begin % ROUND == 0 for begin, _ in made)
        assert max(end - begin for begin, end in made) <= length / parts + ROUND
