"""Rewriting a recording before it is planned: the same result by fewer or smaller operations.

A rule looks at one operation, and at who computed what it reads; it returns the operations
that take its place, and the earlier ones that these make needless.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from xpmlp.compiler.recording import ACCUMULATE, DESCEND, Node, Operation, nodes_of

Change = tuple[list[Operation], list[Operation]]


class Uses:
    """Who computes each node of a recording, and how often it is read."""

    def __init__(self, operations: Sequence[Operation], results: Iterable[Node]) -> None:
        self.results = set(results)
        self.makers = {operation.result: operation for operation in operations}
        self.counts = Counter(node for op in operations for node in nodes_of(op.arguments))
        self.counts.update(self.results)

    def sole(self, argument: object, *names: str) -> Operation | None:
        """Return the operation that made an argument which is read once, if it has such a name."""
        maker = self.makers.get(argument) if isinstance(argument, Node) else None
        if maker is None or maker.name not in names or self.counts[maker.result] != 1:
            return None
        return maker


Rule = Callable[[Operation, Uses], Change | None]


def rewrite(
    operations: list[Operation], results: Sequence[Node], rules: Sequence[Rule]
) -> list[Operation]:
    """Apply each rule wherever it fits; `results` must be computed in any case."""
    for rule in rules:
        uses, made = Uses(operations, results), []
        needless: set[Node] = set()
        for operation in operations:
            change = rule(operation, uses)
            if change is None:
                made.append(operation)
            else:
                made += change[0]
                needless.update(gone.result for gone in change[1])
        operations = [operation for operation in made if operation.result not in needless]
    return operations


def scale_a_factor(operation: Operation, uses: Uses) -> Change | None:
    """Scale the smaller factor of a product instead of the product: s(xᵀ dz) = xᵀ(s dz).

    This is where plain SGD's learning rate meets the gradient.
    """
    if operation.name != "multiply":
        return None
    scale, product = operation.arguments
    maker = uses.sole(product, "matmul")
    if maker is None or not isinstance(scale, Node) or not set(scale.form[0][-2:]) <= {1}:
        return None
    left, right = maker.arguments
    smaller = isinstance(right, Node) and size(right) < size(maker.result)
    if not smaller or scale.form[1] != right.form[1] or len(right.form[0]) < 2:
        return None
    if maker.result.form != operation.result.form:
        return None
    if not set(scale.form[0][:-2]) <= {1} and scale.form[0][:-2] != right.form[0][:-2]:
        return None
    scaled = Node(right.form)
    return [
        Operation("multiply", (scale, right), {}, scaled),
        Operation("matmul", (left, scaled), {}, operation.result),
    ], [maker]


def accumulate(operation: Operation, uses: Uses) -> Change | None:
    """Subtract a product in the call that computes it: W - ab, where nothing else reads ab.

    This is plain SGD's update, once `scale_a_factor` brought its rate into b.
    """
    if operation.name != "subtract" or operation.result not in uses.results:
        return None
    x, product = operation.arguments
    maker = uses.sole(product, "matmul")
    if maker is None or not _is_alike(x, operation.result):
        return None
    options = {"alpha": -1.0, "beta": 1.0}
    return [Operation(ACCUMULATE, (x, *maker.arguments), options, operation.result)], [maker]


def accumulate_scaled(operation: Operation, uses: Uses) -> Change | None:
    """Add a product to a multiple in the call that computes it: μv + ab with one number μ.

    This is the velocity of momentum.
    """
    if operation.name != "add" or operation.result not in uses.results:
        return None
    for product, multiple in (operation.arguments, operation.arguments[::-1]):
        maker, scaled = uses.sole(product, "matmul"), uses.sole(multiple, "multiply")
        number, v = _number_and_array(scaled, operation.result)
        if maker and scaled and v:
            arguments = (v, *maker.arguments, number)
            made = Operation(ACCUMULATE, arguments, {"alpha": 1.0}, operation.result)
            return [made], [maker, scaled]
    return None


def accumulate_decayed(operation: Operation, uses: Uses) -> Change | None:
    """Write W - η(ab + λW) as (1 - ηλ)W - (ηa)b with numbers η and λ: plain SGD with L2."""
    found = _decayed(operation, uses)
    if found is None:
        return None
    rate, kept, numbers, (maker, *needless) = found
    left, right = maker.arguments
    factor = Node(right.form)
    arguments = operation.arguments[0], left, factor, kept
    return [
        *numbers,
        Operation("multiply", (rate, right), {}, factor),
        Operation(ACCUMULATE, arguments, {"alpha": -1.0}, operation.result),
    ], [maker, *needless]


def descend(operation: Operation, uses: Uses) -> Change | None:
    """Write W - η(ab) as one call, where its scale may be a number of the step: plain SGD."""
    if operation.name != "subtract" or operation.result not in uses.results:
        return None
    x, scaled = operation.arguments[0], uses.sole(operation.arguments[1], "multiply")
    rate, product = _number_and_array(scaled, operation.result)
    maker = uses.sole(product, "matmul")
    if scaled is None or maker is None or not _is_alike(x, operation.result):
        return None
    made = Operation(DESCEND, (x, *maker.arguments, rate), {}, operation.result)
    return [made], [maker, scaled]


def descend_decayed(operation: Operation, uses: Uses) -> Change | None:
    """Write W - η(ab + λW) as (1 - ηλ)W - η(ab) in one call: plain SGD with L2."""
    found = _decayed(operation, uses)
    if found is None:
        return None
    rate, kept, numbers, (maker, *needless) = found
    arguments = operation.arguments[0], *maker.arguments, rate, kept
    made = Operation(DESCEND, arguments, {}, operation.result)
    return [*numbers, made], [maker, *needless]


def _decayed(
    operation: Operation, uses: Uses
) -> tuple[Node, Node, list[Operation], list[Operation]] | None:
    """Return of W - η(ab + λW) the numbers η and 1 - ηλ, what computes the latter, and what
    becomes needless, the product first.
    """
    if operation.name != "subtract" or operation.result not in uses.results:
        return None
    W, scaled = operation.arguments[0], uses.sole(operation.arguments[1], "multiply")
    rate, gradient = _number_and_array(scaled, operation.result)
    total = uses.sole(gradient, "add")
    if scaled is None or total is None:
        return None
    for product, penalty in (total.arguments, total.arguments[::-1]):
        maker, decay = uses.sole(product, "matmul"), uses.sole(penalty, "multiply")
        l2, decaying = _number_and_array(decay, operation.result)
        if maker and decay and decaying is W:
            share, kept = Node(rate.form), Node(rate.form)
            numbers = [
                Operation("multiply", (rate, l2), {}, share),
                Operation("subtract", (1.0, share), {}, kept),
            ]
            return rate, kept, numbers, [maker, scaled, total, decay]
    return None


def _number_and_array(multiple: Operation | None, result: Node) -> tuple[Any, Any]:
    """Return the factors of s·x, one number of x's dtype and an array like the result."""
    pair = multiple.arguments if multiple else ()
    for number, array in (pair, pair[::-1]) if pair else ():
        alike = _is_alike(array, result) and isinstance(number, Node)
        if alike and size(number) == 1 and number.form[1] == array.form[1]:
            return number, array
    return None, None


def _is_alike(argument: object, node: Node) -> bool:
    return isinstance(argument, Node) and argument.form == node.form


def size(node: Node) -> int:
    """Return how many numbers a node has."""
    return math.prod(node.form[0])
