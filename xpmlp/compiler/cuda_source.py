"""From a group of operations to the CUDA C of one kernel.

Every kernel runs in blocks of 256 threads, and each segment has blocks of its own: MAP a thread
for an entry; ROWS a warp for a row; COLUMNS 8 columns by 32 threads that share the rows; TOTAL
several blocks for a member, of which the last to end adds up what all of them left, in a fixed
order, so that the same input gives the same bits. What a loop writes, it writes after it has read.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any, NamedTuple

from xpmlp.compiler.cuda_expressions import (
    FLOATING,
    Parameter,
    expression,
    number,
    offset,
    operand_types,
    parameter,
    row_major,
    type_of,
)
from xpmlp.compiler.grouping import COLUMNS, MAP, REDUCING, ROWS, Segment, Shape, sources_of
from xpmlp.compiler.recording import Node, NotRecordable, Operation

THREADS, WARP, TILE = 256, 32, 8
WARPS = THREADS // WARP
ENTRIES_OF_A_BLOCK, MOST_BLOCKS = 4 * THREADS, 1024
LONGEST_INT = 2**31 - THREADS * MOST_BLOCKS
PRELUDE = """\
template <typename T> __device__ __forceinline__ T largest(T a, T b) {
    return a > b || a != a ? a : b;
}
template <bool SUM, typename T> __device__ __forceinline__ T both(T a, T b) {
    return SUM ? a + b : largest(a, b);
}
template <bool SUM, typename T> __device__ __forceinline__ T over_warp(T v, int least) {
    for (int step = 16; step >= least; step /= 2)
        v = both<SUM>(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}
template <bool SUM, typename T> __device__ __forceinline__ T over_block(T v, T* shared) {
    v = over_warp<SUM>(v, 1);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = shared[0];
    for (int warp = 1; warp < 8; ++warp) v = both<SUM>(v, shared[warp]);
    return v;
}
"""


class Kernel(NamedTuple):
    """The text of a kernel, its blocks, and the bytes of scratch memory, zero at first."""

    text: str
    blocks: int
    scratch: int


def kernel(
    name: str,
    operation: Operation,
    inputs: Sequence[Any],
    outs: Sequence[Any],
    alone: Sequence[bool],
) -> Kernel:
    """Return the kernel of a group; it takes pointers to inputs, outputs and scratch memory.

    inputs, outs: arrays, of which shapes, strides and dtypes are fixed in the text. alone:
    whether an input shares no memory with an output, so that it may be read ahead of writes.
    Raises NotRecordable for what kernels can't compute.
    """
    reads = _parameters("in", operation.arguments, inputs)
    writes = _parameters("out", operation.results, outs)
    text, blocks, scratch = "", 0, 0
    for segment in operation.options["segments"]:
        writer = WRITERS.get(segment.kind, Total)(segment, reads, writes, scratch)
        body = indent(writer.text(), " " * 8)
        text += f"    if (block < {writer.blocks}) {{\n{body}        return;\n    }}\n"
        text += f"    block -= {writer.blocks};\n"
        blocks, scratch = blocks + writer.blocks, scratch + writer.scratch
    pointers = [
        f"const {p.type}* {'__restrict__ ' * free}{p.name}"
        for p, free in zip(reads.values(), alone, strict=True)
    ]
    pointers += [f"{p.type}* {p.name}" for p in writes.values()]
    signature = ", ".join([*pointers, "unsigned char* scratch"])
    head = f'extern "C" __global__ void __launch_bounds__({THREADS})\n{name}({signature})'
    return Kernel(f"{head} {{\n    int block = blockIdx.x;\n{text}}}\n", blocks, scratch)


def _parameters(kind: str, nodes: Sequence[Node], arrays: Sequence[Any]) -> dict[Node, Parameter]:
    pairs = enumerate(zip(nodes, arrays, strict=True))
    return {node: parameter(f"{kind}{k}", array) for k, (node, array) in pairs}


@dataclass
class Loop:
    """Statements of one loop, what they loaded, and what is written at the end."""

    statements: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    loaded: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the code."""
        return "".join(f"{line}\n" for line in (*self.statements, *self.writes))


class Writer:
    """Writes the code of one segment; the entries are at `i`, the numbers that they give at `r`.

    blocks: of the segment. scratch: bytes that it uses, from an offset on.
    """

    def __init__(
        self,
        segment: Segment,
        reads: dict[Node, Parameter],
        writes: dict[Node, Parameter],
        offset: int,
    ) -> None:
        self.segment, self.reads, self.outs, self.offset = segment, reads, writes, offset
        self.names = {op.result: f"v{k}" for k, op in enumerate(segment.operations)}
        self.reductions = [
            Reduction.of(op, self.names[op.result])
            for op in segment.operations
            if op.name in REDUCING
        ]
        self.size, self.numbers = math.prod(segment.full), math.prod(segment.reduced or ())
        self.length = self.size // self.numbers
        self.index = "long long" if self.size >= LONGEST_INT else "int"
        self.blocks, self.scratch = 0, 0

    def text(self) -> str:
        """Return the code; sets `blocks` and `scratch`."""
        raise NotImplementedError

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
        name, joined = self.names[operation.result], " * ".join(values)
        both = Reduction.of(operation, name).both
        loop.statements.append(f"{name} = {both}({name}, {joined});")

    def write(self, node: Node, loop: Loop, at: str, place: str = "") -> None:
        """Write a value at the end of a loop, if it is read elsewhere."""
        if node in self.outs:
            if not row_major(self.outs[node]):
                raise NotRecordable("a result of a kernel does not lie row by row")
            loop.writes.append(f"{self.outs[node].name}[{at}] = {self.names[node]}{place};")

    def operand(
        self, source: Any, loop: Loop, shape: Shape, at: str, wish: str | None, place: str
    ) -> str:
        """Return the expression of an operand in a C type, loaded where it is not yet known."""
        if not isinstance(source, Node):
            return number(source, wish)
        if source.owner in self.names:
            held = "" if source.owner in self.segment.in_reduced else place
            name, kind = f"{self.names[source.owner]}{held}", type_of(source.form[1])
        else:
            read = self.reads[source]
            kind, entry = read.type, f"{read.name}[{offset(at, shape, read)}]"
            if entry not in loop.loaded:
                loop.loaded[entry] = f"{read.name}_{at}{len(loop.loaded)}"
                loop.statements.append(f"const {kind} {loop.loaded[entry]} = {entry};")
            name = loop.loaded[entry]
        return name if wish in (None, kind) else f"({wish}){name}"

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

    def starts(self) -> str:
        """Return the declarations of what is accumulated."""
        return "".join(f"{one.type} {one.name} = {one.start};\n" for one in self.reductions)

    def shares(self) -> str:
        """Return the divisions that make means of sums."""
        means = [one.name for one in self.reductions if one.is_mean]
        return "".join(f"{name} /= {self.length};\n" for name in means)


class Reduction(NamedTuple):
    """A reduction in code: its variable and C type, where it starts, how two parts are joined."""

    name: str
    type: str
    start: str
    is_sum: str
    is_mean: bool

    @classmethod
    def of(cls, operation: Operation, name: str) -> "Reduction":
        """Return it. Raises NotRecordable for the largest of integers."""
        kind, largest = type_of(operation.result.form[1]), operation.name == "max"
        if largest and kind not in FLOATING:
            raise NotRecordable("kernels know no max of integers")
        start = number(-math.inf, kind) if largest else "0"
        return cls(name, kind, start, "false" if largest else "true", operation.name == "mean")

    @property
    def both(self) -> str:
        """The function that joins two parts."""
        return f"both<{self.is_sum}, {self.type}>"


class Map(Writer):
    """A thread for each entry."""

    def text(self) -> str:
        """Return the code; sets `blocks`."""
        self.blocks = -(-self.size // THREADS)
        entries, _ = self.both_loops()
        return (
            f"const {self.index} i = ({self.index})block * {THREADS} + threadIdx.x;\n"
            f"if (i < {self.size}) {{\n{indent(entries.text(), '    ')}}}\n"
        )


class Rows(Writer):
    """A warp for each row: a lane keeps every 32nd entry, and all lanes know the numbers."""

    def text(self) -> str:
        """Return the code; sets `blocks`."""
        self.blocks = -(-self.numbers // WARPS)
        turns = -(-self.length // WARP)
        declared, code, entries, numbers = "", "", Loop(), Loop()
        for operation in self.segment.operations:
            name, kind = self.names[operation.result], type_of(operation.result.form[1])
            if operation.name not in REDUCING and operation.result not in self.segment.in_reduced:
                declared += f"{kind} {name}[{turns}];\n"
                self.compute(operation, entries, "i", "[j]")
                continue
            if operation.name in REDUCING:
                declared += f"{kind} {name} = {Reduction.of(operation, name).start};\n"
                self.accumulate(operation, entries, "[j]")
                self.write(operation.result, numbers, "r")
            code += self._over_row(entries.statements)
            entries = Loop(writes=entries.writes)
            code += self._numbers(operation, numbers)
        code += self._over_row([*entries.statements, *entries.writes])
        writes = indent("".join(f"{line}\n" for line in numbers.writes), " " * 8)
        return (
            f"const int r = block * {WARPS} + threadIdx.x / {WARP}, lane = threadIdx.x % {WARP};\n"
            f"if (r < {self.numbers}) {{\n"
            f"{indent(declared + code, '    ')}    __syncwarp();\n"
            f"    if (lane == 0) {{\n{writes}    }}\n}}\n"
        )

    def _numbers(self, operation: Operation, numbers: Loop) -> str:
        """Return the code that ends a reduction, or computes with numbers."""
        name = self.names[operation.result]
        if operation.name in REDUCING:
            one = Reduction.of(operation, name)
            share = f"{name} /= {self.length};\n" if one.is_mean else ""
            return f"{name} = over_warp<{one.is_sum}>({name}, 1);\n{share}"
        numbers.statements.clear()
        self.compute(operation, numbers, "r")
        return "".join(f"{line}\n" for line in numbers.statements)

    def _over_row(self, statements: Sequence[str]) -> str:
        if not statements:
            return ""
        text = "".join(f"{line}\n" for line in statements)
        if re.search(r"\bi\b", text):
            text = f"const {self.index} i = ({self.index})r * {self.length} + column;\n{text}"
        return (
            f"#pragma unroll\nfor (int j = 0; j < {-(-self.length // WARP)}; ++j) {{\n"
            f"    const int column = lane + {WARP} * j;\n"
            f"    if (column < {self.length}) {{\n{indent(text, ' ' * 8)}    }}\n}}\n"
        )


class Columns(Writer):
    """Eight columns a block; 32 threads share a column's rows."""

    def text(self) -> str:
        """Return the code; sets `blocks`."""
        width = next(op for op in self.segment.operations if op.name in REDUCING)
        columns = width.arguments[0].form[0][-1]
        tiles, members = -(-columns // TILE), self.numbers // columns
        self.blocks = tiles * members
        entries, numbers = self.both_loops()
        parts = "".join(
            f"__shared__ {one.type} shared_{one.name}[{THREADS}];\n"
            f"shared_{one.name}[threadIdx.x] = over_warp<{one.is_sum}>({one.name}, {TILE});\n"
            for one in self.reductions
        )
        joined = "".join(
            f"{one.name} = shared_{one.name}[threadIdx.x];\n"
            f"for (int other = {WARP}; other < {THREADS}; other += {WARP})\n"
            f"    {one.name} = {one.both}({one.name}, shared_{one.name}[threadIdx.x + other]);\n"
            for one in self.reductions
        )
        return (
            f"const int member = block / {tiles}, part = threadIdx.x / {TILE};\n"
            f"const int column = block % {tiles} * {TILE} + threadIdx.x % {TILE};\n"
            f"{self.starts()}"
            f"if (column < {columns}) {{\n    #pragma unroll 4\n"
            f"    for (int row = part; row < {self.length}; row += {THREADS // TILE}) {{\n"
            f"        const {self.index} i = "
            f"(({self.index})member * {self.length} + row) * {columns} + column;\n"
            f"{indent(entries.text(), ' ' * 8)}    }}\n}}\n"
            f"{parts}__syncthreads();\n"
            f"if (part == 0 && column < {columns}) {{\n"
            f"    const int r = member * {columns} + column;\n"
            f"{indent(joined + self.shares() + numbers.text(), '    ')}}}\n"
        )


class Total(Writer):
    """Several blocks for each member; where there are more than one, the last adds up."""

    def text(self) -> str:
        """Return the code; sets `blocks` and `scratch`."""
        each = min(-(-self.length // ENTRIES_OF_A_BLOCK), MOST_BLOCKS)
        self.blocks = each * self.numbers
        entries, numbers = self.both_loops()
        over_block = "".join(
            f"__shared__ {one.type} shared_{one.name}[{WARPS}];\n"
            f"{one.name} = over_block<{one.is_sum}>({one.name}, shared_{one.name});\n"
            for one in self.reductions
        )
        return (
            f"const int r = block / {each}, part = block % {each};\n"
            f"{self.starts()}"
            f"for ({self.index} at = part * {THREADS} + threadIdx.x; at < {self.length}; "
            f"at += {each * THREADS}) {{\n"
            f"    const {self.index} i = ({self.index})r * {self.length} + at;\n"
            f"{indent(entries.text(), '    ')}}}\n"
            f"{over_block}{self._only_last(each) if each > 1 else ''}"
            f"if (threadIdx.x == 0) {{\n"
            f"{indent(self.shares() + numbers.text(), '    ')}}}\n"
        )

    def _only_last(self, each: int) -> str:
        """Return code that only the last block leaves, with what all blocks found."""
        counters = 8 * -(-4 * self.numbers // 8)
        self.scratch = counters + 8 * self.blocks * len(self.reductions)
        left, joined = "", ""
        for k, one in enumerate(self.reductions):
            start = self.offset + counters + 8 * k * self.blocks
            found = f"((volatile {one.type}*)(scratch + {start}))"
            left += f"    {found}[block] = {one.name};\n"
            joined += (
                f"{one.name} = {one.start};\n"
                f"for (int other = threadIdx.x; other < {each}; other += {THREADS})\n"
                f"    {one.name} = {one.both}({one.name}, {found}[r * {each} + other]);\n"
                f"{one.name} = over_block<{one.is_sum}>({one.name}, shared_{one.name});\n"
            )
        counter = f"(unsigned*)(scratch + {self.offset}) + r"
        return (
            f"__shared__ bool is_last;\nif (threadIdx.x == 0) {{\n{left}    __threadfence();\n"
            f"    is_last = atomicInc({counter}, {each - 1}) == {each - 1};\n"
            f"    __threadfence();\n}}\n__syncthreads();\nif (!is_last) return;\n{joined}"
        )


WRITERS: dict[str, type[Writer]] = {MAP: Map, ROWS: Rows, COLUMNS: Columns}
