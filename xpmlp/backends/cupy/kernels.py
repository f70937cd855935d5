"""How a plan computes on CuPy: kernels of its own, products by cuBLAS, both made to be captured."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from math import gcd, prod
from typing import Any
from weakref import WeakKeyDictionary

import cupy
import numpy as np
from cuda import pathfinder

from xpmlp.backends.cupy.cublas import WORKSPACE_BYTES, Cublas, check_product, check_version
from xpmlp.compiler.cuda_source import PRELUDE, THREADS, kernel
from xpmlp.compiler.grouping import KERNEL, group, overwrites_in_kernel
from xpmlp.compiler.plan import Call, overwrites_element_wise
from xpmlp.compiler.recording import ACCUMULATE, Node, NotRecordable, Operation
from xpmlp.compiler.rewriting import (
    accumulate,
    accumulate_decayed,
    accumulate_scaled,
    rewrite,
    scale_a_factor,
)
from xpmlp.types import Array

NAME = "NAME"
RULES = (scale_a_factor, accumulate_decayed, accumulate, accumulate_scaled)
GATHER = f"""
extern "C" __global__ void __launch_bounds__({THREADS})
{NAME}(const char* rows, const long long* index, char* out, long long count, long long pieces,
       long long piece) {{
    const long long at = (long long)blockIdx.x * {THREADS} + threadIdx.x;
    if (at >= count * pieces) return;
    const long long row = at / pieces, place = at % pieces * piece, length = pieces * piece;
    const char* from = rows + index[row] * length + place;
    char* to = out + row * length + place;
    if (piece == 16) *(float4*)to = *(const float4*)from;
    else if (piece == 8) *(double*)to = *(const double*)from;
    else if (piece == 4) *(float*)to = *(const float*)from;
    else *to = *from;
}}
"""
PIECES = (16, 8, 4, 1)  # bytes that a thread moves


class CupyKernels:
    """Memory, views and calls of CuPy on one GPU, on one stream.

    Made and used where that device and that stream are the current ones. precision: of products,
    full or tf32. Kernels are compiled when the first of them is launched, all that are known at
    once.
    """

    def __init__(self, stream: int, precision: str) -> None:
        cupy.cuda.device.get_cublas_handle()  # CuPy loads its own first, where none is loaded
        path = pathfinder.load_nvidia_dynamic_lib("cublas").abs_path
        check_version(path, cupy.cuda.runtime.runtimeGetVersion() // 1000)
        workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        self.cublas = Cublas(path, stream, workspace, precision)
        self.pending: dict[str, str] = {}
        self.functions: dict[str, Callable[..., Any]] = {}
        self.kernels: WeakKeyDictionary[Operation, dict[Any, Call]] = WeakKeyDictionary()
        self.numbers: dict[Any, Array] = {}

    empty = staticmethod(cupy.empty)
    copyto = staticmethod(cupy.copyto)

    def copy(self, array: Array) -> Array:
        """Return a copy in memory of its own, row by row."""
        return array.copy(order="C")

    def gather(self, rows: Array, index: Array, out: Array) -> None:
        """Write rows[index] into `out`; nothing checks the index.

        A thread moves as much at once as the rows' length and both addresses allow: a view may
        begin anywhere, and a GPU reads 16 bytes only from a multiple of 16.
        """
        length = rows.itemsize * prod(rows.shape[1:])
        marks = gcd(length, rows.data.ptr, out.data.ptr)
        piece = next(size for size in PIECES if marks % size == 0)
        sizes = index.size, length // piece, piece
        blocks = -(-index.size * (length // piece) // THREADS)
        self._launch(self._known(GATHER), blocks, rows, index, out, *map(np.int64, sizes))

    def rewritten(self, operations: list[Operation], results: Sequence[Node]) -> list[Operation]:
        """Return operations that give the same results in fewer launches."""
        return group(rewrite(operations, results, RULES), results)

    def view(self, operation: Operation, arguments: list[Any]) -> Array:
        """Return a view of the first argument. Raises NotRecordable where CuPy would copy."""
        array, *rest = arguments
        if operation.name == "getitem":
            return array[rest[0]]
        if operation.name == "matrix_transpose":
            return array.swapaxes(-1, -2)
        view = array.reshape(rest[0])
        if view.data.ptr != array.data.ptr:
            raise NotRecordable("reshape copies")
        return view

    def overwrites(self, operation: Operation, old: Node, new: Node) -> bool:
        """Tell whether a result may lie where an operand does."""
        if operation.name == KERNEL:
            return overwrites_in_kernel(operation, old, new)
        return overwrites_element_wise(operation, old)

    def calls(self, operation: Operation, arguments: list[Any], outs: list[Array]) -> list[Call]:
        """Return the calls that write an operation's results into their places."""
        if operation.name == KERNEL:
            return [self._group(operation, arguments, outs)]
        if operation.name == ACCUMULATE:
            return self._accumulate(operation, outs[0], *arguments)
        if operation.name != "matmul":
            raise NotRecordable(f"{operation.name} has no kernel")
        (a, b), (out,) = arguments, outs
        check_product(a, b, out)
        return [partial(self.cublas.product, a, b, out)]

    def _accumulate(
        self, operation: Operation, out: Array, x: Array, a: Array, b: Array, *scale: Array
    ) -> list[Call]:
        check_product(a, b, out)
        alpha, beta = operation.options["alpha"], operation.options.get("beta")
        if scale:
            alpha, (beta,) = self._number(alpha, out.dtype), scale
        home = [] if out is x else [partial(self.copyto, out, x)]
        return [*home, partial(self.cublas.product, a, b, out, alpha, beta)]

    def _number(self, value: float, dtype: Any) -> Array:
        """Return a number on the device."""
        if (value, dtype) not in self.numbers:
            self.numbers[value, dtype] = cupy.asarray(np.asarray(value, dtype))
        return self.numbers[value, dtype]

    def _group(self, operation: Operation, inputs: list[Array], outs: list[Array]) -> Call:
        """Return the launch of a group's kernel, written once for all arrays that lie alike."""
        alone = tuple(not any(overlap(array, out) for out in outs) for array in inputs)
        forms = (alone, *((array.shape, array.strides) for array in (*inputs, *outs)))
        known = self.kernels.setdefault(operation, {})
        if forms not in known:
            made = kernel(NAME, operation, inputs, outs, alone)
            scratch = cupy.zeros(max(1, made.scratch), np.uint8)
            name = self._known(made.text)
            known[forms] = partial(self._launch_with, scratch, name, made.blocks)
        return partial(known[forms], *inputs, *outs)

    def _launch_with(self, scratch: Array, name: str, blocks: int, *arrays: Array) -> None:
        self._launch(name, blocks, *arrays, scratch)

    def _launch(self, name: str, blocks: int, *arguments: Any) -> None:
        if name not in self.functions:
            self.compile()
        self.functions[name]((blocks,), (THREADS,), arguments)

    def _known(self, text: str) -> str:
        """Return the name of a kernel, noted to be compiled where it is new."""
        name = f"xpmlp_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if name not in self.functions:
            self.pending[name] = text.replace(NAME, name)
        return name

    def compile(self) -> None:
        """Compile all kernels that wait for it, which nothing may do within a capture."""
        if not self.pending:
            return
        module = cupy.RawModule(code="\n".join([PRELUDE, *self.pending.values()]))
        self.functions |= {name: module.get_function(name) for name in self.pending}
        self.pending.clear()


def overlap(one: Array, other: Array) -> bool:
    """Tell whether two arrays may share memory."""
    start, end = _span(one)
    first, last = _span(other)
    return start < last and first < end


def _span(array: Array) -> tuple[int, int]:
    """Return the first address of an array, and the first behind it."""
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    below, above = sum(min(0, step) for step in steps), sum(max(0, step) for step in steps)
    return array.data.ptr + below, array.data.ptr + above + array.itemsize
