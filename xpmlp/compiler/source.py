"""From a segment of a step to statements of C: what all dialects write alike.

A dialect adds the loops around them, how a number and the place of an entry are written, and
the functions that the statements call.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xpmlp.compiler.expressions import (
    FLOATING,
    Parameter,
    expression,
    operand_types,
    row_major,
    type_of,
)
from xpmlp.compiler.grouping import REDUCING, Segment, Shape, sources_of
from xpmlp.compiler.recording import Node, NotRecordable, Operation


@dataclass
class Loop:
    """Statements of one loop, what they loaded, and what is written at the end."""

    statements: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    loaded: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the code."""
        return "".join(f"{line}\n" for line in (*self.statements, *self.writes))


class Reduction(NamedTuple):
    """A reduction in code: its variable and C type, whether it adds up, and whether for a mean."""

    name: str
    type: str
    is_sum: bool
    is_mean: bool

    @classmethod
    def of(cls, operation: Operation, name: str) -> "Reduction":
        """Return it. Raises NotRecordable for the largest of integers."""
        kind, largest = type_of(operation.result.form[1]), operation.name == "max"
        if largest and kind not in FLOATING:
            raise NotRecordable("kernels know no max of integers")
        return cls(name, kind, not largest, operation.name == "mean")


class Writer:
    """Writes the statements of one segment; the entries are at `i`, the numbers they give at `r`.

    reads, outs: the arrays that it reads, and those of its results that are read elsewhere.
    """

    def __init__(
        self, segment: Segment, reads: dict[Node, Parameter], outs: dict[Node, Parameter]
    ) -> None:
        self.segment, self.reads, self.outs = segment, reads, outs
        self.names = {op.result: f"v{k}" for k, op in enumerate(segment.operations)}
        self.reductions = [
            Reduction.of(op, self.names[op.result])
            for op in segment.operations
            if op.name in REDUCING
        ]
        self.size, self.numbers = math.prod(segment.full), math.prod(segment.reduced or ())
        self.length = self.size // self.numbers

    def number(self, value: Any, kind: str | None) -> str:
        """Return a number in a C type."""
        raise NotImplementedError

    def entry(self, read: Parameter, shape: Shape, at: str) -> str:
        """Return the entry that is broadcast to the place `at` of an array of a shape."""
        raise NotImplementedError

    def joined(self, one: Reduction, value: str) -> str:
        """Return the statement that joins a value to a reduction."""
        raise NotImplementedError

    def start(self, one: Reduction) -> str:
        """Return where a reduction starts."""
        return "0" if one.is_sum else self.number(-math.inf, one.type)

    def compute(self, operation: Operation, loop: Loop, at: str, place: str = "") -> None:
        """Add an element-wise operation to a loop; place: where it keeps its value, `[j]`."""
        name, shape = self.names[operation.result], operation.result.form[0]
        wanted = operand_types(operation)
        operands = [
            self.operand(source, loop, shape, at, wish, place)
            for source, wish in zip(operation.arguments, wanted, strict=False)
        ]
        declared = "" if place else f"const {type_of(operation.result.form[1])} "
        loop.statements.append(f"{declared}{name}{place} = {expression(operation, operands)};")
        self.write(operation.result, loop, at, place)

    def accumulate(self, operation: Operation, loop: Loop, place: str = "") -> None:
        """Add the entries' part of a reduction to a loop."""
        kind = type_of(operation.result.form[1])
        values = [
            self.operand(source, loop, source.form[0], "i", kind, place)
            for source in sources_of(operation)
        ]
        one = Reduction.of(operation, self.names[operation.result])
        loop.statements.append(self.joined(one, " * ".join(values)))

    def write(self, node: Node, loop: Loop, at: str, place: str = "") -> None:
        """Write a value at the end of a loop, if it is read elsewhere."""
        if node in self.outs:
            out = self.outs[node]
            if not row_major(out):
                raise NotRecordable("a result of a kernel does not lie row by row")
            loop.writes.append(
                f"{self.written(out, node.form[0], at)} = {self.names[node]}{place};"
            )

    def written(self, out: Parameter, shape: Shape, at: str) -> str:
        """Return the place of an entry of a result, which lies row by row."""
        return self.entry(out, shape, at)

    def operand(
        self, source: Any, loop: Loop, shape: Shape, at: str, wish: str | None, place: str
    ) -> str:
        """Return the expression of an operand in a C type, loaded where it is not yet known."""
        if not isinstance(source, Node):
            return self.number(source, wish)
        if source.owner in self.names:
            held = "" if source.owner in self.segment.in_reduced else place
            name, kind = f"{self.names[source.owner]}{held}", type_of(source.form[1])
        else:
            read = self.reads[source]
            kind, entry = read.type, self.entry(read, shape, at)
            if entry not in loop.loaded:
                loop.loaded[entry] = f"{read.name}_{at}{len(loop.loaded)}"
                loop.statements.append(f"const {kind} {loop.loaded[entry]} = {entry};")
            name = loop.loaded[entry]
        if wish in (None, kind):
            return name
        return f"({wish})({name} ? 1 : 0)" if kind == "bool" else f"({wish}){name}"  # gcc's vectors

    def both_loops(self) -> tuple[Loop, Loop]:
        """Return the loop over the entries, and what is done with the numbers."""
        entries, numbers = Loop(), Loop()
        for operation in self.segment.operations:
            if operation.name in REDUCING:
                self.accumulate(operation, entries)
                self.write(operation.result, numbers, "r")
            elif operation.result in self.segment.in_reduced:
                self.compute(operation, numbers, "r")
            else:
                self.compute(operation, entries, "i")
        return entries, numbers


def lines(statements: Sequence[str]) -> str:
    """Return statements as text, each on a line."""
    return "".join(f"{statement}\n" for statement in statements)
