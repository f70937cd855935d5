"""From a group of operations to the CUDA C of one kernel.

Every kernel runs in blocks of 256 threads, and each segment has blocks of its own: MAP a thread
for an entry; ROWS a warp for a row; COLUMNS 8 columns by 32 threads that share the rows; TOTAL
several blocks for a member, of which the last to end adds up what all of them left, in a fixed
order, so that the same input gives the same bits. What a loop writes, it writes after it has read.
"""

import math
import re
from collections.abc import Sequence
from textwrap import indent
from typing import Any, NamedTuple

from xpmlp.compiler.expressions import FLOATING, Parameter, offset, parameter, type_of
from xpmlp.compiler.grouping import COLUMNS, MAP, REDUCING, ROWS, Segment, Shape
from xpmlp.compiler.recording import Node, Operation
from xpmlp.compiler.source import Loop, Reduction, Writer, lines

THREADS, WARP, TILE = 256, 32, 8
WARPS = THREADS // WARP
ENTRIES_OF_A_BLOCK, MOST_BLOCKS = 4 * THREADS, 1024
LONGEST_INT = 2**31 - THREADS * MOST_BLOCKS
LEAST, MOST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127  # normal numbers of a float
INFINITY, NAN = "__int_as_float(0x7f800000)", "__int_as_float(0x7fffffff)"  # NVRTC has no names
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


class CudaWriter(Writer):
    """Writes the code of one segment for a GPU.

    blocks: of the segment. scratch: bytes that it uses, from an offset on.
    """

    def __init__(
        self,
        segment: Segment,
        reads: dict[Node, Parameter],
        outs: dict[Node, Parameter],
        offset: int,
    ) -> None:
        super().__init__(segment, reads, outs)
        self.offset = offset
        self.index = "long long" if self.size >= LONGEST_INT else "int"
        self.blocks, self.scratch = 0, 0

    def text(self) -> str:
        """Return the code; sets `blocks` and `scratch`."""
        raise NotImplementedError

    def number(self, value: Any, kind: str | None) -> str:
        """Return a number as a literal of a C type."""
        return number(value, kind)

    def entry(self, read: Parameter, shape: Shape, at: str) -> str:
        """Return the entry that is broadcast to the place `at` of an array of a shape."""
        return f"{read.name}[{offset(at, shape, read)}]"

    def written(self, out: Parameter, shape: Shape, at: str) -> str:  # noqa: ARG002
        """Return the place of an entry of a result."""
        return f"{out.name}[{at}]"

    def joined(self, one: Reduction, value: str) -> str:
        """Return the statement that joins a value to a reduction."""
        return f"{one.name} = {both(one)}({one.name}, {value});"

    def starts(self) -> str:
        """Return the declarations of what is accumulated."""
        return lines([f"{one.type} {one.name} = {self.start(one)};" for one in self.reductions])

    def shares(self) -> str:
        """Return the divisions that make means of sums."""
        means = [one.name for one in self.reductions if one.is_mean]
        return lines([f"{name} /= {self.length};" for name in means])


def both(one: Reduction) -> str:
    """Return the function that joins two parts of a reduction."""
    return f"both<{is_sum(one)}, {one.type}>"


def is_sum(one: Reduction) -> str:
    """Return whether a reduction adds up, in C."""
    return "true" if one.is_sum else "false"


def number(value: Any, kind: str | None) -> str:
    """Return a number as a literal of a C type."""
    if kind == "float" and (abs(value) < LEAST or abs(value) > MOST):
        value = math.copysign(0.0 if abs(value) < LEAST else math.inf, value)
    if kind not in FLOATING:
        text = str(int(value))
    elif math.isnan(value):
        text = f"({kind}){NAN}"
    elif math.isinf(value):
        text = f"{'-' * (value < 0)}({kind}){INFINITY}"
    else:
        text = repr(float(value)) + ("f" if kind == "float" else "")
    return f"({text})" if text.startswith("-") else text


class Map(CudaWriter):
    """A thread for each entry."""

    def text(self) -> str:
        """Return the code; sets `blocks`."""
        self.blocks = -(-self.size // THREADS)
        entries, _ = self.both_loops()
        return (
            f"const {self.index} i = ({self.index})block * {THREADS} + threadIdx.x;\n"
            f"if (i < {self.size}) {{\n{indent(entries.text(), '    ')}}}\n"
        )


class Rows(CudaWriter):
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
                one = Reduction.of(operation, name)
                declared += f"{kind} {name} = {self.start(one)};\n"
                self.accumulate(operation, entries, "[j]")
                self.write(operation.result, numbers, "r")
            code += self._over_row(entries.statements)
            entries = Loop(writes=entries.writes)
            code += self._numbers(operation, numbers)
        code += self._over_row([*entries.statements, *entries.writes])
        writes = indent(lines(numbers.writes), " " * 8)
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
            return f"{name} = over_warp<{is_sum(one)}>({name}, 1);\n{share}"
        numbers.statements.clear()
        self.compute(operation, numbers, "r")
        return lines(numbers.statements)

    def _over_row(self, statements: Sequence[str]) -> str:
        if not statements:
            return ""
        text = lines(statements)
        if re.search(r"\bi\b", text):
            text = f"const {self.index} i = ({self.index})r * {self.length} + column;\n{text}"
        return (
            f"#pragma unroll\nfor (int j = 0; j < {-(-self.length // WARP)}; ++j) {{\n"
            f"    const int column = lane + {WARP} * j;\n"
            f"    if (column < {self.length}) {{\n{indent(text, ' ' * 8)}    }}\n}}\n"
        )


class Columns(CudaWriter):
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
            f"shared_{one.name}[threadIdx.x] = over_warp<{is_sum(one)}>({one.name}, {TILE});\n"
            for one in self.reductions
        )
        joined = "".join(
            f"{one.name} = shared_{one.name}[threadIdx.x];\n"
            f"for (int other = {WARP}; other < {THREADS}; other += {WARP})\n"
            f"    {one.name} = {both(one)}({one.name}, shared_{one.name}[threadIdx.x + other]);\n"
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


class Total(CudaWriter):
    """Several blocks for each member; where there are more than one, the last adds up."""

    def text(self) -> str:
        """Return the code; sets `blocks` and `scratch`."""
        each = min(-(-self.length // ENTRIES_OF_A_BLOCK), MOST_BLOCKS)
        self.blocks = each * self.numbers
        entries, numbers = self.both_loops()
        over_block = "".join(
            f"__shared__ {one.type} shared_{one.name}[{WARPS}];\n"
            f"{one.name} = over_block<{is_sum(one)}>({one.name}, shared_{one.name});\n"
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
                f"{one.name} = {self.start(one)};\n"
                f"for (int other = threadIdx.x; other < {each}; other += {THREADS})\n"
                f"    {one.name} = {both(one)}({one.name}, {found}[r * {each} + other]);\n"
                f"{one.name} = over_block<{is_sum(one)}>({one.name}, shared_{one.name});\n"
            )
        counter = f"(unsigned*)(scratch + {self.offset}) + r"
        return (
            f"__shared__ bool is_last;\nif (threadIdx.x == 0) {{\n{left}    __threadfence();\n"
            f"    is_last = atomicInc({counter}, {each - 1}) == {each - 1};\n"
            f"    __threadfence();\n}}\n__syncthreads();\nif (!is_last) return;\n{joined}"
        )


WRITERS: dict[str, type[CudaWriter]] = {MAP: Map, ROWS: Rows, COLUMNS: Columns}
