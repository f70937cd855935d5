"""How a plan computes on NumPy: for each operation the call that is fastest and allocates nothing.

What is not obvious was measured (bench/NOTES.md): sums over one axis are products with ones,
which BLAS does several times faster than a reduction; the largest of few classes is found down
the columns; `maximum` is vectorised for two arrays alone, so that a number becomes one.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from xpmlp.compiler.plan import Call, overwrites_element_wise
from xpmlp.compiler.recording import Node, NotRecordable, Operation
from xpmlp.compiler.rewriting import rewrite, scale_a_factor

UFUNCS = {"abs": np.absolute}
FEW_CLASSES = 32
SMALL = 2**16


class NumpyKernels:
    """Memory, views and calls of NumPy."""

    empty = staticmethod(np.empty)
    copyto = staticmethod(np.copyto)

    def copy(self, array: np.ndarray) -> np.ndarray:
        """Return a copy in memory of its own."""
        return array.copy()

    def gather(self, rows: np.ndarray, index: np.ndarray, out: np.ndarray) -> None:
        """Write rows[index] into `out`; an index that is out of bounds is clipped unseen."""
        rows.take(index, 0, out, "clip")

    def rewritten(self, operations: list[Operation], results: Sequence[Node]) -> list[Operation]:
        """Return operations that give the same results sooner."""
        return rewrite(operations, results, (scale_a_factor,))

    def view(self, operation: Operation, arguments: list[Any]) -> np.ndarray:
        """Return a view of the first argument. Raises NotRecordable where NumPy would copy."""
        array, *rest = arguments
        if operation.name == "getitem":
            view = array[rest[0]]
        else:
            view = getattr(np, operation.name)(array, *rest, **operation.options)
        if not np.may_share_memory(view, array):
            raise NotRecordable(f"{operation.name} copies")
        return np.asarray(view)

    def overwrites(self, operation: Operation, old: Node, new: Node) -> bool:  # noqa: ARG002
        """Tell whether the result may lie where an operand does."""
        return overwrites_element_wise(operation, old)

    def calls(
        self, operation: Operation, arguments: list[Any], outs: list[np.ndarray]
    ) -> list[Call]:
        """Return the calls that write an operation's result into its place."""
        (out,) = outs
        special = getattr(self, f"_{operation.name}", None)
        if special is not None:
            made: list[Call] = special(out, *arguments, **operation.options)
            return made
        function = UFUNCS.get(operation.name) or getattr(np, operation.name)
        if isinstance(function, np.ufunc) and not operation.options:
            return [partial(function, *_arrays(arguments), out)]
        return [partial(function, *arguments, out=out, **operation.options)]

    def _astype(self, out: np.ndarray, x: np.ndarray, _: Any) -> list[Call]:
        return [partial(np.copyto, out, x, "unsafe")]

    def _where(self, out: np.ndarray, condition: Any, yes: Any, no: Any) -> list[Call]:
        return [partial(np.copyto, out, no), partial(np.copyto, out, yes, "same_kind", condition)]

    def _maximum(self, out: np.ndarray, *pair: Any) -> list[Call]:
        return [partial(np.maximum, *(_spread(one, out) for one in pair), out=out)]

    def _minimum(self, out: np.ndarray, *pair: Any) -> list[Call]:
        return [partial(np.minimum, *(_spread(one, out) for one in pair), out=out)]

    def _sum(self, out: np.ndarray, x: np.ndarray, **options: Any) -> list[Call]:
        return _weighted_sum(out, x, 1.0, **options) or [
            partial(np.sum, x, out=out, **options),
        ]

    def _mean(self, out: np.ndarray, x: np.ndarray, **options: Any) -> list[Call]:
        axis = options.get("axis")
        share = 1.0 / x.shape[axis] if isinstance(axis, int) else math.nan
        return _weighted_sum(out, x, share, **options) or [partial(np.mean, x, out=out, **options)]

    def _max(self, out: np.ndarray, x: np.ndarray, **options: Any) -> list[Call]:
        axis, keepdims = options.get("axis"), options.get("keepdims", False)
        if axis not in (-1, x.ndim - 1) or not 0 < x.shape[-1] <= FEW_CLASSES or x.ndim < 2:
            return [partial(np.max, x, out=out, **options)]
        columns = np.moveaxis(x, -1, 0)
        apart = np.empty(columns.shape, x.dtype)
        largest = out[..., 0] if keepdims else out
        return [
            partial(np.copyto, apart, columns),
            partial(np.maximum.reduce, apart, 0, None, largest),
        ]


def _arrays(arguments: list[Any]) -> list[Any]:
    """Return numbers as arrays, in the dtype that they take beside the arrays."""
    dtype = np.result_type(*arguments)
    return [a if isinstance(a, np.ndarray) else np.asarray(a, dtype) for a in arguments]


def _spread(value: Any, out: np.ndarray) -> Any:
    """Return a number as a whole array, for large ones as a row."""
    if not isinstance(value, float | int):
        return value
    return np.full(out.shape if out.size <= SMALL else out.shape[-1:], value, out.dtype)


def _weighted_sum(
    out: np.ndarray,
    x: np.ndarray,
    weight: float,
    axis: Any = None,
    keepdims: bool = False,
    **options: Any,
) -> list[Call]:
    """Return the sum over one of the last two axes as a product, [] where it can't be one."""
    if options or x.dtype.kind != "f" or out.dtype != x.dtype:
        return []
    if axis in (-1, x.ndim - 1):
        weights = np.full(x.shape[-1], weight, x.dtype)
        return [partial(np.matmul, x, weights, out[..., 0] if keepdims else out)]
    if axis in (-2, x.ndim - 2):
        weights = np.full(x.shape[-2], weight, x.dtype)
        return [partial(np.matmul, weights, x, out[..., 0, :] if keepdims else out)]
    return []
