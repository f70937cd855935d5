"""NumPy on the CPU: the reference that the others are compared with, its steps from a plan."""

from collections.abc import Callable
from typing import Any

import array_api_compat.numpy
import numpy as np

from xpmlp.backends.base import Compilation, EpochPlan
from xpmlp.backends.numpy.blas import blas_in_use
from xpmlp.backends.numpy.compiled import CompiledStep
from xpmlp.backends.numpy.kernels import NumpyKernels
from xpmlp.backends.numpy.native import why_not
from xpmlp.backends.planned import PlannedBackend, PlannedStep
from xpmlp.compiler.recording import NotRecordable
from xpmlp.types import Batch, Hyper, Namespace, Params


class NumpyBackend(PlannedBackend):
    """NumPy with BLAS products, replaying the recorded step, or compiled for the processor."""

    name = "numpy"
    xp = array_api_compat.numpy
    library = f"numpy {np.__version__}"
    kernels = NumpyKernels()

    def compile(
        self, make: Callable[[Namespace], Callable[..., Any]], wish: Compilation | None = None
    ) -> PlannedStep:
        """Return the function that `make` makes: compiled where that is wished and can be."""
        return PlannedStep(make, self.xp) if wish is None else CompiledStep(make, self.xp, wish)

    def why_not_compiled(self) -> str:
        """Return why functions can't be compiled for the CPU here, "" where they can be."""
        return why_not()

    def run_epoch(
        self, step: Any, state: Any, data: Batch, plan: EpochPlan, hyper: Hyper
    ) -> tuple[Any, np.ndarray]:
        """Run the step's program over all batches, else replay the step."""
        if isinstance(step, CompiledStep):
            try:
                return step.run_epoch(self, state, data, plan, hyper)
            except NotRecordable as reason:
                step.compiled, step.why_not = "", str(reason)
        return super().run_epoch(step, state, data, plan, hyper)

    def run_rows(
        self, function: Any, params: Params, rows: Batch, most: int
    ) -> list[tuple[Any, Any]]:
        """Run the function's program over all rows, else the function as it is written."""
        if isinstance(function, CompiledStep):
            try:
                return function.run_rows(params, rows, most)
            except NotRecordable as reason:
                function.why_not = str(reason)
        return super().run_rows(function, params, rows, most)

    def describe(self) -> dict[str, str]:
        """Return what a report should say, and the BLAS library of the products."""
        return {**super().describe(), "blas": blas_in_use()}
