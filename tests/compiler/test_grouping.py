"""Groups of operations: each reads what earlier launches computed, or its own segment."""

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from xpmlp.compiler.grouping import KERNEL, group, overwrites_in_kernel
from xpmlp.compiler.recording import VIEWS, Node, NotRecordable, Recorded, RecordingNamespace, Tape
from xpmlp.leaves import map_tree

SHAPES = ((3, 4), (3, 4), (4,), (3, 1), (), (4, 4))


class Program:
    """Operations on a few arrays, recorded; `values` are what NumPy gets for each node."""

    def __init__(self, shapes=SHAPES):
        rng = np.random.default_rng(0)
        self.tape = Tape(xp)
        self.xp = RecordingNamespace(self.tape)
        self.arrays = [Recorded(rng.standard_normal(shape), self.tape) for shape in shapes]
        self.given = {array.node: array.value for array in self.arrays}

    def keep(self, array):
        self.arrays.append(array)
        return array

    def values(self):
        return {array.node: array.value for array in self.arrays}


def fit(*shapes):
    try:
        return np.broadcast_shapes(*shapes) in shapes
    except ValueError:
        return False


def step_of(program, draw):
    """Add one random operation to a program."""
    xp, arrays = program.xp, program.arrays
    x = draw(st.sampled_from(arrays))
    kind = draw(st.sampled_from(["map", "pair", "pair", "rows", "columns", "all", "matmul"]))
    if kind == "pair":
        return x + 0.5 * draw(st.sampled_from([y for y in arrays if fit(x.shape, y.shape)]))
    if kind == "rows" and x.ndim:
        return xp.sum(x, axis=-1, keepdims=draw(st.booleans()))
    if kind == "columns" and x.ndim > 1:
        return xp.mean(x, axis=-2)
    if kind == "all" and x.ndim > 1:
        flat = xp.reshape(x, (-1,))
        return xp.vecdot(flat, flat)
    if kind == "matmul" and x.ndim == 2 and x.shape[1] == 4:
        return xp.matmul(x, arrays[5])
    return xp.tanh(x)


@st.composite
def programs(draw):
    program = Program()
    for _ in range(draw(st.integers(1, 14))):
        program.keep(step_of(program, draw))
    made = [array.node for array in program.arrays if array.node not in program.given]
    return program, draw(st.lists(st.sampled_from(made), min_size=1, unique=True))


def evaluate(operation, known):
    """Return the result of an operation, of what is known alone."""

    def value(leaf):
        return known[leaf] if isinstance(leaf, Node) else leaf

    arguments = [map_tree(value, argument) for argument in operation.arguments]
    if operation.name == "getitem":
        return arguments[0][arguments[1]]
    return getattr(xp, operation.name)(*arguments, **operation.options)


def run(operations, given):
    """Return all values; a segment sees what earlier launches made, and what it makes itself."""
    known = dict(given)
    for operation in operations:
        if operation.name != KERNEL:
            known[operation.result] = evaluate(operation, known)
            continue
        made = {}
        for segment in operation.options["segments"]:
            own = dict(known)
            for member in segment.operations:
                views = [n for n in member.arguments if isinstance(n, Node) and n not in own]
                own |= {node: own[node.owner].reshape(node.form[0]) for node in views}
                own[member.result] = evaluate(member, own)
            made |= {node: own[node] for node in operation.results if node in own}
        known |= made
    return known


@settings(max_examples=examples(200, few=60), deadline=None)
@given(case=programs())
def test_groups_read_nothing_that_their_own_launch_computes_elsewhere(case):
    program, results = case
    try:
        operations = group(program.tape.operations, results)
    except NotRecordable:
        return
    known, expected = run(operations, program.given), program.values()
    for node in results:
        np.testing.assert_allclose(known[node], expected[node], rtol=1e-12, atol=1e-12)


def test_what_waits_for_another_that_was_placed_is_later():
    """exp(Σ) waits for nothing placed, but for Σ, which was placed for the sake of a result."""
    program = Program(((3, 4),))
    (a,) = program.arrays
    total = program.xp.sum(a, axis=-2)
    grown = program.xp.exp(total)
    norm = program.xp.sum(grown, axis=-1)
    operations = group(program.tape.operations, [total.node, norm.node])
    assert [op.name for op in operations] == [KERNEL, KERNEL]
    known = run(operations, program.given)
    np.testing.assert_allclose(known[norm.node], norm.value)


def test_operations_of_one_shape_share_a_loop_and_others_a_launch():
    program = Program(((3, 4), (5,)))
    a, b = program.arrays
    x, y = program.xp.tanh(a * 2.0), program.xp.exp(b)
    (kernel,) = group(program.tape.operations, [x.node, y.node])
    assert [segment.full for segment in kernel.options["segments"]] == [(3, 4), (5,)]
    assert kernel.results == (x.node, y.node)


def test_a_result_may_lie_over_what_only_its_own_entry_reads():
    program = Program(((3, 4), (3, 4)))
    a, b = program.arrays
    c = a - 2.0 * b
    (kernel,) = group(program.tape.operations, [c.node])
    assert overwrites_in_kernel(kernel, a.node, c.node)
    total = program.xp.sum(a, axis=-2)
    (kernel,) = group(program.tape.operations, [c.node, total.node])
    assert overwrites_in_kernel(kernel, a.node, c.node)
    spread = a[:1, :] + b
    _, kernel = group(program.tape.operations[-2:], [spread.node])
    assert not overwrites_in_kernel(kernel, a.node, spread.node)
    assert all(op.name in (*VIEWS, KERNEL) for op in group(program.tape.operations, [c.node]))


def test_a_stack_that_is_read_is_refused():
    program = Program(((3, 4),))
    (a,) = program.arrays
    more = program.xp.stack([a, a]) + 1.0
    with pytest.raises(NotRecordable, match="more than the step's metrics"):
        group(program.tape.operations, [more.node])
