"""The loops of a CPU around the statements of a segment.

A tile has the rows r0 to r1 and the columns c0 to c1. MAP computes its entries; ROWS each row to
a number; COLUMNS and TOTAL leave what their tile adds up to in scratch memory, and `finish` joins
the tiles in their order.
"""

import math
from collections.abc import Sequence
from textwrap import indent
from typing import Any

from xpmlp.compiler.cpu_tables import Block
from xpmlp.compiler.cpu_tasks import Task
from xpmlp.compiler.expressions import FLOATING, TYPES, Parameter, axes_of, parameter, type_of
from xpmlp.compiler.grouping import COLUMNS, LONGEST_ROW, MAP, REDUCING, ROWS, TOTAL, Shape
from xpmlp.compiler.recording import Node, NotRecordable
from xpmlp.compiler.source import Loop, Reduction, Writer, lines

SIMD = "#pragma omp simd"
DTYPES = {kind: dtype for dtype, kind in TYPES.items()}


class CpuWriter(Writer):
    """Writes the code of one segment for a CPU.

    axes: the loops' variables at `i` and at `r`. scratch: the memory of each reduction.
    """

    axes: dict[str, tuple[str, ...]]
    reads: "_Reads"

    def __init__(
        self, task: Task, block: Block, parts: int, scratch: Sequence[Node] | None = None
    ) -> None:
        assert task.segment is not None
        self.task, self.block, self.parts = task, block, parts
        super().__init__(task.segment, {}, {})
        self.entries: dict[tuple[str, Shape, str], str] = {}
        self.reads = _Reads(block)
        self.outs = {node: block.written(node) for node in task.outputs}
        self.axes = self._axes(len(task.segment.full), len(task.segment.reduced or ()))
        late = self.reductions if task.ends_late and scratch is None else []
        self.scratch: Sequence[Node] = scratch or [self._scratch(one) for one in late]

    @property
    def part(self) -> str:
        """The number of the tile in code; where one thread computes all of it, the first."""
        return "0" if self.task.chain is None else "part"

    def text(self) -> str:
        """Return the code of a tile."""
        raise NotImplementedError

    def finish(self) -> str:
        """Return the code for when all tiles are done, if there is any."""
        return ""

    def number(self, value: Any, kind: str | None) -> str:
        """Return a number in a C type."""
        if kind in FLOATING and math.isinf(value):
            return f"({'-' * (value < 0)}({kind})INFINITY)"
        return self.block.number(value, kind)

    def entry(self, read: Parameter, shape: Shape, at: str) -> str:
        """Return the entry that is broadcast to the place `at` of an array of a shape."""
        key = (read.name, shape, at)
        if key not in self.entries:
            index = self._index(read, shape, at)
            places = [index, *(f"{part} + {index}" for part in self.reads.parts.get(read.name, ()))]
            self.entries[key] = " + ".join(f"{read.name}[{place}]" for place in places)
        return self.entries[key]

    def _index(self, read: Parameter, shape: Shape, at: str) -> str:
        axes, variables = axes_of(shape, read), self.axes[at]
        if len(axes) != len(variables) and any(stride for _, stride in axes):
            raise NotRecordable(f"a loop of {len(variables)} axes over {len(axes)}")
        terms = [
            name if stride == 1 else f"{name} * {self.block.size(stride)}"
            for name, (_, stride) in zip(variables, axes, strict=False)
            if stride
        ]
        return " + ".join(terms) or "0"

    def joined(self, one: Reduction, value: str) -> str:
        """Return the statement that joins a value to a reduction."""
        return join(one, one.name, value)

    def over_rows(self, text: str, pragma: str = "") -> str:
        """Return a loop over the tile's rows."""
        return f"{pragma}for (Size r = r0; r < r1; ++r) {{\n{indent(text, '    ')}}}\n"

    def over_columns(self, text: str, pragma: str = f"{SIMD}\n") -> str:
        """Return a loop over the tile's columns."""
        return f"{pragma}for (Size c = c0; c < c1; ++c) {{\n{indent(text, '    ')}}}\n"

    def shares(self, length: int) -> str:
        """Return the divisions that make means of sums."""
        means = [one.name for one in self.reductions if one.is_mean]
        return lines([f"{name} /= {self.block.size(length)};" for name in means])

    def _axes(self, full: int, reduced: int) -> dict[str, tuple[str, ...]]:
        return {"i": ("r", "c")[:full], "r": ("r",)[:reduced]}

    def _scratch(self, one: Reduction) -> Node:
        raise NotImplementedError


class _Reads(dict[Node, Parameter]):
    """The arrays that a segment reads, declared when they are asked for.

    parts: where the others begin of those that lie in parts, which are to be added up.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        self.parts: dict[str, list[str]] = {}

    def __missing__(self, node: Node) -> Parameter:
        if node not in self.block.tables.sums:
            return self.block.read(node)
        parts = self.block.tables.sums[node]
        count, size = parts.form[0][0], math.prod(node.form[0])
        name = self.block.read(parts).name
        if name not in self.parts:
            self.parts[name] = [self.block.size(k * size) for k in range(1, count)]
        return parameter(name, self.block.tables.places[node])


class Map(CpuWriter):
    """The entries of a tile."""

    def text(self) -> str:
        """Return the code of a tile."""
        entries, _ = self.both_loops()
        if len(self.axes["i"]) == 2:
            return self.over_rows(self.over_columns(entries.text()))
        if len(self.axes["i"]) == 1:
            return self.over_rows(entries.text(), f"{SIMD}\n")
        return entries.text()


class Rows(CpuWriter):
    """One row after the other: what is computed of it is kept until the next."""

    def text(self) -> str:
        """Return the code of a tile."""
        declared, code, entries, numbers = "", "", Loop(), Loop()
        for operation in self.segment.operations:
            name, kind = self.names[operation.result], type_of(operation.result.form[1])
            if operation.name not in REDUCING and operation.result not in self.segment.in_reduced:
                declared += f"{kind} {name}[{LONGEST_ROW}];\n"
                self.compute(operation, entries, "i", "[c]")
                continue
            if operation.name in REDUCING:
                one = Reduction.of(operation, name)
                code += f"{kind} {name} = {self.start(one)};\n"
                code += self._over_row(entries.statements)
                entries = Loop(writes=entries.writes)
                self.accumulate(operation, entries, "[c]")
                self.write(operation.result, numbers, "r")
                code += self._over_row(entries.statements, one)
                share = f"{name} /= {self.block.size(self.length)};\n" if one.is_mean else ""
                code += share
            else:
                code += self._over_row(entries.statements)
                numbers.statements.clear()
                self.compute(operation, numbers, "r")
                code += lines(numbers.statements)
            entries = Loop(writes=entries.writes)
        code += self._over_row([*entries.statements, *entries.writes])
        return self.over_rows(declared + code + lines(numbers.writes))

    def _over_row(self, statements: Sequence[str], one: Reduction | None = None) -> str:
        if not statements:
            return ""
        pragma = f"{SIMD}\n" if one is None else adding(one)
        return self.over_columns(lines(statements), pragma)

    def _axes(self, full: int, reduced: int) -> dict[str, tuple[str, ...]]:
        if self.task.rows == 1 and full == 1:
            return {"i": ("c",), "r": ()}
        return super()._axes(full, reduced)


class Columns(CpuWriter):
    """What each column of a tile adds up to."""

    def text(self) -> str:
        """Return the code of a tile."""
        entries, _ = self.both_loops()
        starts = "".join(
            f"{one.type}* const s{k} = {self._place(k)} + {self.part} * {self._width()};\n"
            f"for (Size c = c0; c < c1; ++c) s{k}[c] = {self.start(one)};\n"
            for k, one in enumerate(self.reductions)
        )
        return starts + self.over_rows(self.over_columns(entries.text()))

    def finish(self) -> str:
        """Return the code that joins the tiles."""
        _, numbers = self.both_loops()
        width = self._width()
        joined = "".join(
            f"{one.type} {one.name} = {self.start(one)};\n"
            f"for (Size p = 0; p < {self.block.size(self.parts)}; ++p) "
            f"{join(one, one.name, f'{self._place(k)}[p * {width} + c]')}\n"
            for k, one in enumerate(self.reductions)
        )
        text = joined + self.shares(self.task.rows) + numbers.text()
        return f"for (Size c = 0; c < {width}; ++c) {{\n{indent(text, '    ')}}}\n"

    def joined(self, one: Reduction, value: str) -> str:
        """Return the statement that joins a value to a column."""
        k = [other.name for other in self.reductions].index(one.name)
        return join(one, f"s{k}[c]", value)

    def _width(self) -> str:
        return self.block.size(self.task.columns)

    def _place(self, k: int) -> str:
        return self.block.written(self.scratch[k]).name

    def _scratch(self, one: Reduction) -> Node:
        return scratch(self.block, (self.parts, self.task.columns), one.type)

    def _axes(self, full: int, reduced: int) -> dict[str, tuple[str, ...]]:
        return {"i": ("r", "c")[-full:] if full else (), "r": ("c",)[:reduced]}


class Total(CpuWriter):
    """What a tile adds up to, in double precision over its rows."""

    def text(self) -> str:
        """Return the code of a tile."""
        if self.segment.reduced:
            raise NotRecordable("several totals")
        entries, _ = self.both_loops()
        starts = lines([f"{one.type} {one.name} = {self.start(one)};" for one in self.reductions])
        pragma = adding(*self.reductions)
        sums = lines(
            [f"{wide(one)} t{k} = {self.start(one)};" for k, one in enumerate(self.reductions)]
        )
        added = lines([join(one, f"t{k}", one.name) for k, one in enumerate(self.reductions)])
        left = "".join(
            f"{self.block.written(self.scratch[k]).name}[{self.part}] = t{k};\n"
            for k in range(len(self.reductions))
        )
        if len(self.axes["i"]) == 2:
            row = starts + self.over_columns(entries.text(), pragma) + added
            return sums + self.over_rows(row) + left
        one_loop = entries.text() if not self.axes["i"] else self.over_rows(entries.text(), pragma)
        return sums + starts + one_loop + added + left

    def finish(self) -> str:
        """Return the code that joins the tiles."""
        _, numbers = self.both_loops()
        joined = ""
        for k, one in enumerate(self.reductions):
            place = self.block.written(self.scratch[k]).name
            joined += f"{wide(one)} t{k} = {self.start(one)};\n"
            joined += f"for (Size p = 0; p < {self.block.size(self.parts)}; ++p) "
            joined += f"{join(one, f't{k}', f'{place}[p]')}\n"
            joined += f"{one.type} {one.name} = t{k};\n"
        return f"{{\n{indent(joined + self.shares(self.size) + numbers.text(), '    ')}}}\n"

    def _scratch(self, one: Reduction) -> Node:
        return scratch(self.block, (self.parts,), wide(one))

    def _axes(self, full: int, reduced: int) -> dict[str, tuple[str, ...]]:  # noqa: ARG002
        return {"i": ("r", "c")[:full], "r": ()}


def wide(one: Reduction) -> str:
    """Return the C type in which a total is added up."""
    return "double" if one.type in FLOATING else one.type


def join(one: Reduction, name: str, value: str) -> str:
    """Return the statement that joins a value to a sum or a maximum."""
    return f"{name} += {value};" if one.is_sum else f"{name} = largest({name}, {value});"


def adding(*reductions: Reduction) -> str:
    """Return the pragma of a loop with reductions; a maximum, with its NaN, has none."""
    sums = [f" reduction(+:{one.name})" for one in reductions if one.is_sum]
    return f"{SIMD}{''.join(sums)}\n" if len(sums) == len(reductions) else ""


def scratch(block: Block, shape: tuple[int, ...], kind: str) -> Node:
    """Return memory for what tiles leave."""
    node = Node((shape, DTYPES[kind]))
    block.tables.scratch[node] = kind
    return node


WRITERS: dict[str, type[CpuWriter]] = {MAP: Map, ROWS: Rows, COLUMNS: Columns, TOTAL: Total}
