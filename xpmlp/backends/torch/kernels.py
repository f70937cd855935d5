"""How a plan computes on PyTorch: each operation with `out=`, products on a CPU by oneDNN.

On a GPU every call can be captured: it neither waits for the device nor moves data to it.

PyTorch's own float32 products go through MKL, which on processors not made by Intel leaves
AVX-512 unused: oneDNN, which is part of PyTorch, was twice as fast there (bench/NOTES.md).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from xpmlp.compiler.plan import Call, overwrites_element_wise
from xpmlp.compiler.recording import Form, Node, NotRecordable, Operation, form_of
from xpmlp.compiler.rewriting import Change, Rule, Uses, accumulate, rewrite, scale_a_factor
from xpmlp.types import Array

NAMES = {"equal": "eq", "greater": "gt", "less": "lt"}
ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
LARGE, LARGE_TRANSPOSED = 2**21, 2**24


class TorchKernels:
    """Memory, views and calls of PyTorch on one device."""

    def __init__(self, device: str) -> None:
        self.device, self.on_cpu = device, device == "cpu"
        self.numbers: dict[Any, Array] = {}

    def empty(self, shape: Any, dtype: Any) -> Array:
        """Return new memory on the device."""
        return torch.empty(shape, dtype=dtype, device=self.device)

    def copy(self, array: Array) -> Array:
        """Return a copy in memory of its own, row by row."""
        return array.clone(memory_format=torch.contiguous_format)

    copyto = staticmethod(torch.Tensor.copy_)

    def gather(self, rows: Array, index: Array, out: Array) -> None:
        """Write rows[index] into `out`."""
        flat = out if index.ndim == 1 else out.view(-1, *rows.shape[1:])
        torch.index_select(rows, 0, index.reshape(-1), out=flat)

    def rewritten(self, operations: list[Operation], results: Sequence[Node]) -> list[Operation]:
        """Return operations that give the same results sooner."""
        return rewrite(operations, results, self.rules())

    def rules(self) -> tuple[Rule, ...]:
        """Return what is rewritten, in this order."""
        cpu, gpu = (mask, addcmul, with_product), (accumulate, mask, addcmul)
        return (scale_a_factor, *(cpu if self.on_cpu else gpu))

    def view(self, operation: Operation, arguments: list[Any]) -> Array:
        """Return a view of the first argument. Raises NotRecordable where PyTorch would copy."""
        array, *rest = arguments
        if operation.name == "getitem":
            view = array[rest[0]]
        elif operation.name == "matrix_transpose":
            view = array.mT
        else:
            view = array.reshape(rest[0])
        if view.untyped_storage().data_ptr() != array.untyped_storage().data_ptr():
            raise NotRecordable(f"{operation.name} copies")
        return view

    def overwrites(self, operation: Operation, old: Node, new: Node) -> bool:  # noqa: ARG002
        """Tell whether the result may lie where an operand does."""
        return overwrites_element_wise(operation, old)

    def calls(self, operation: Operation, arguments: list[Any], outs: list[Array]) -> list[Call]:
        """Return the calls that write an operation's result into its place."""
        (out,) = outs
        name, options = operation.name, operation.options
        special = getattr(self, f"_{name}", None)
        if special is not None:
            made: list[Call] = special(out, *arguments, **options)
            return made
        function = getattr(torch, NAMES.get(name, name))
        return [partial(function, *self._tensors(arguments), out=out, **options)]

    def _tensors(self, arguments: list[Any]) -> list[Array]:
        """Return numbers as tensors, in the dtype that they take beside the tensors."""
        tensors = [a for a in arguments if isinstance(a, torch.Tensor)]
        return [
            self._number(a, torch.result_type(tensors[0], a)) if isinstance(a, float | int) else a
            for a in arguments
        ]

    def _number(self, value: float, dtype: Any) -> Array:
        if (value, dtype) not in self.numbers:
            self.numbers[value, dtype] = torch.tensor(value, dtype=dtype, device=self.device)
        return self.numbers[value, dtype]

    def _astype(self, out: Array, x: Array, _: Any) -> list[Call]:
        return [partial(out.copy_, x)]

    def _where(self, out: Array, *arguments: Any) -> list[Call]:
        condition, yes, no = arguments
        pair = [a if isinstance(a, torch.Tensor) else self._number(a, out.dtype) for a in (yes, no)]
        return [partial(torch.where, condition, *pair, out=out)]

    def _sum(self, out: Array, x: Array, **options: Any) -> list[Call]:
        return [partial(torch.sum, x, out=out, **_reduction(**options))]

    def _mean(self, out: Array, x: Array, **options: Any) -> list[Call]:
        return [partial(torch.mean, x, out=out, **_reduction(**options))]

    def _max(self, out: Array, x: Array, **options: Any) -> list[Call]:
        return [partial(torch.amax, x, out=out, **_reduction(**options))]

    def _vecdot(self, out: Array, a: Array, b: Array) -> list[Call]:
        if a.ndim == 1:
            return [partial(torch.dot, a, b, out=out)]
        return [partial(torch.linalg.vecdot, a, b, out=out)]

    def _addcmul(self, out: Array, *terms: Any, value: float) -> list[Call]:
        return [partial(torch.addcmul, *self._tensors([*terms]), value=value, out=out)]

    def _with_product(
        self, out: Array, a: Array, b: Array, other: Any, name: str, first: bool
    ) -> list[Call]:
        function = getattr(torch, name)
        if first:
            return [lambda: function(_product(a, b), other, out=out)]
        return [lambda: function(other, _product(a, b), out=out)]

    def _accumulate(self, out: Array, x: Array, a: Array, b: Array, **scales: float) -> list[Call]:
        if out.ndim == 2:
            return [partial(torch.addmm, x, a, b, out=out, **scales)]
        members = len(out)
        a, b = (f.expand(members, *f.shape[-2:]) for f in (a, b))
        return [partial(torch.baddbmm, x, a, b, out=out, **scales)]

    def _matmul(self, out: Array, a: Array, b: Array) -> list[Call]:
        if self.on_cpu and _onednn_takes(form_of(a), form_of(b), transposed=not a.is_contiguous()):
            return [lambda: out.copy_(_product(a, b))]
        return [partial(torch.matmul, a, b, out=out)]


def _reduction(axis: Any = None, keepdims: bool = False) -> dict[str, Any]:
    return {"dim": axis, "keepdim": keepdims}


def _product(a: Array, b: Array) -> Array:
    assert ONEDNN is not None
    return ONEDNN(a, b.T, None, "none", [], "")


def _onednn_takes(a: Form, b: Form, transposed: bool) -> bool:
    """Tell whether oneDNN is faster: for large products, as it first copies a transposed `a`."""
    plain = len(a[0]) == len(b[0]) == 2 and a[1] == torch.float32
    if not plain or ONEDNN is None or not torch.backends.mkldnn.is_available():
        return False
    return a[0][0] * a[0][1] * b[0][1] >= (LARGE_TRANSPOSED if transposed else LARGE)


def mask(operation: Operation, uses: Uses) -> Change | None:
    """Compare straight into floating-point numbers."""
    comparison = operation.name == "astype" and uses.sole(
        operation.arguments[0], "greater", "less", "equal"
    )
    if not comparison:
        return None
    return [Operation(comparison.name, comparison.arguments, {}, operation.result)], [comparison]


def addcmul(operation: Operation, uses: Uses) -> Change | None:
    """Add or subtract a product of numbers in the pass that multiplies them."""
    if operation.name not in ("add", "subtract"):
        return None
    *_, last = candidates = operation.arguments
    for term in (last,) if operation.name == "subtract" else candidates:
        maker = uses.sole(term, "multiply")
        (other,) = [a for a in candidates if a is not term] or [None]
        if maker and isinstance(other, Node) and other.form == operation.result.form:
            value = -1.0 if operation.name == "subtract" else 1.0
            arguments = (other, *maker.arguments)
            return [Operation("addcmul", arguments, {"value": value}, operation.result)], [maker]
    return None


def with_product(operation: Operation, uses: Uses) -> Change | None:
    """Read a matrix product of oneDNN where it was made, instead of copying it first."""
    if operation.name not in ("add", "subtract", "multiply"):
        return None
    for i, term in enumerate(operation.arguments):
        maker, other = uses.sole(term, "matmul"), operation.arguments[1 - i]
        if maker and isinstance(other, Node) and maker.result.form == operation.result.form:
            a, b = maker.arguments
            transposed = a in uses.makers and uses.makers[a].name == "matrix_transpose"
            if _onednn_takes(a.form, b.form, transposed):
                options = {"name": operation.name, "first": i == 0}
                return [Operation("with_product", (a, b, other), options, operation.result)], [
                    maker
                ]
    return None
