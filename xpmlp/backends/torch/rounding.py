"""Products on a CPU with factors that are rounded to bfloat16, where their size lets it pay.

Measured on a Xeon with AMX (bench/NOTES.md): below 2²³ multiplications the conversion, and the
start of oneDNN's kernel, cost what the faster product saves; so they do where a side is narrow.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

from xpmlp.backends.planned import PlannedStep
from xpmlp.backends.torch.kernels import TorchKernels, addcmul, mask, with_product
from xpmlp.backends.torch.precision import bfloat16
from xpmlp.compiler.plan import Call, Plan
from xpmlp.compiler.recording import ACCUMULATE, Form, Operation, form_of
from xpmlp.compiler.rewriting import Change, Rule, Uses, accumulate, scale_a_factor
from xpmlp.types import Array, Namespace

LEAST_MULTIPLICATIONS, NARROWEST = 2**23, 32
FACTORS = {"matmul": slice(0, 2), "with_product": slice(0, 2), ACCUMULATE: slice(1, 3)}


def pays(*sides: int) -> bool:
    """Tell whether a product is faster with rounded factors; sides: m, k, n of (m, k) @ (k, n)."""
    return prod(sides) >= LEAST_MULTIPLICATIONS and min(sides) >= NARROWEST


def is_rounded(a: Form, b: Form) -> bool:
    """Tell whether a product of such factors has them rounded: two matrices for which it pays."""
    (shape, dtype), (other, _) = a, b
    matrices = len(shape) == len(other) == 2 and dtype == torch.float32
    return matrices and pays(*shape, other[1])


class RoundingNamespace:
    """The namespace of PyTorch, whose `matmul` rounds factors to bfloat16 where it pays."""

    def __init__(self, xp: Namespace) -> None:
        self.xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self.xp, name)

    def matmul(self, a: Array, b: Array) -> Array:
        """Return the product, in float32."""
        return rounded(self.xp.matmul)(a, b) if _rounds(a, b) else self.xp.matmul(a, b)


class RoundingKernels(TorchKernels):
    """The kernels of PyTorch on a CPU with rounded products among them."""

    def __init__(self) -> None:
        super().__init__("cpu")

    def rules(self) -> tuple[Rule, ...]:
        """Return what is rewritten, in this order."""
        return (scale_a_factor, _accumulate, mask, addcmul, _with_full_product)

    def _matmul(self, out: Array, a: Array, b: Array) -> list[Call]:
        if not _rounds(a, b):
            return super()._matmul(out, a, b)
        return [rounded(lambda: torch.matmul(a, b, out=out))]

    def _accumulate(self, out: Array, x: Array, a: Array, b: Array, **scales: float) -> list[Call]:
        return [rounded(call) for call in super()._accumulate(out, x, a, b, **scales)]


class RoundingStep(PlannedStep):
    """A planned step that says for how many of its products it pays."""

    @property
    def how(self) -> str:
        """How the last epoch ran, and what was rounded in its largest step."""
        counts = [_count(plan) for plan in self.plans.kept.values() if isinstance(plan, Plan)]
        products = " of ".join(map(str, max(counts))) if counts else "large"
        return f"{super().how}, bf16 for {products} products"


def rounded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call with rounded factors."""

    def with_bfloat16(*arguments: Any) -> Any:
        with bfloat16():
            return call(*arguments)

    return with_bfloat16


def _rounds(a: Array, b: Array) -> bool:
    return is_rounded(form_of(a), form_of(b))


def _count(plan: Plan) -> tuple[int, int]:
    """Return how many products of a plan have rounded factors, and how many there are."""
    operations: Sequence[Operation] = plan.memory.operations
    products = [op.arguments[FACTORS[op.name]] for op in operations if op.name in FACTORS]
    return sum(is_rounded(a.form, b.form) for a, b in products), len(products)


def _accumulate(operation: Operation, uses: Uses) -> Change | None:
    """Subtract a rounded product in the call that computes it."""
    return _where_rounded(accumulate(operation, uses), True)


def _with_full_product(operation: Operation, uses: Uses) -> Change | None:
    """Read a full product where it was made; a rounded one goes to a place of its own."""
    return _where_rounded(with_product(operation, uses), False)


def _where_rounded(change: Change | None, wanted: bool) -> Change | None:
    """Return a change of the reading of a product, if its factors are rounded or are not."""
    if change is None:
        return None
    (_, (maker,)) = change
    a, b = maker.arguments
    return change if is_rounded(a.form, b.form) is wanted else None
