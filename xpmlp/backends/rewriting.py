"""Rewriting a recording before it is planned: the same result by fewer or smaller operations.

A rule looks at one operation, and at who computed what it reads; it returns the operations
that take its place, and the earlier one that these make needless.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from xpmlp.backends.recording import Node, Operation, nodes_of

Change = tuple[list[Operation], Operation]


class Uses:
    """Who computes each node of a recording, and how often it is read."""

    def __init__(self, operations: Sequence[Operation], results: Iterable[Node]) -> None:
        self.makers = {operation.result: operation for operation in operations}
        self.counts = Counter(node for op in operations for node in nodes_of(op.arguments))
        self.counts.update(results)

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
        uses, made, needless = Uses(operations, results), [], set()
        for operation in operations:
            change = rule(operation, uses)
            if change is None:
                made.append(operation)
            else:
                made += change[0]
                needless.add(change[1].result)
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
    ], maker


def size(node: Node) -> int:
    """Return how many numbers a node has."""
    return math.prod(node.form[0])
