"""PyTorch on the CPU or on CUDA, without its autograd."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import array_api_compat.torch
import numpy as np
import torch

from xpmlp.backends.base import Compilation
from xpmlp.backends.captured import CapturedBackend
from xpmlp.backends.cuda_driver import query_driver
from xpmlp.backends.planned import PlannedStep
from xpmlp.backends.torch.kernels import TorchKernels
from xpmlp.backends.torch.precision import full_on_cpu, no_bfloat16, precision_on_cuda
from xpmlp.backends.torch.rounding import RoundingKernels, RoundingNamespace, RoundingStep, pays
from xpmlp.compiler.plan import Call
from xpmlp.errors import BackendUnavailableError
from xpmlp.types import Array, Namespace

OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


class TorchBackend(CapturedBackend):
    """PyTorch's arrays under the hand-derived mathematics.

    While it runs, the process-wide precision of products is the backend's own: full float32, or
    on a GPU TF32 where that was asked for. Afterwards it is again what it was. On a CPU large
    products have bfloat16 factors where that was asked for, each by itself.
    """

    name = "torch"
    xp = array_api_compat.torch
    library = f"torch {torch.__version__}"
    cpu_precisions = ("full", "bf16")

    def __init__(self, device: str, dtype: str, matmul_precision: str = "full") -> None:
        super().__init__(device, dtype, matmul_precision)
        self.captures = device != "cpu"
        self.kernels = TorchKernels(device)
        if device != "cpu" and (reason := no_gpu()):
            raise BackendUnavailableError(f"{self.library} {reason}")
        if self.matmul_precision == "bf16":
            if reason := no_bfloat16():
                raise BackendUnavailableError(
                    f"matmul_precision bf16 can't be had: {reason}; choose --matmul-precision full"
                )
            self.kernels, self.xp = RoundingKernels(), RoundingNamespace(self.xp)

    def compile(
        self,
        make: Callable[[Namespace], Callable[..., Any]],
        wish: Compilation | None = None,  # noqa: ARG002
    ) -> PlannedStep:
        """Return the function that `make` makes, which says how it rounds if it does."""
        kind = RoundingStep if self.matmul_precision == "bf16" else PlannedStep
        return kind(make, self.xp)

    def rounded_products(self, widths: Sequence[int], rows: int) -> str:
        """Return in how many layers bfloat16 pays."""
        if self.matmul_precision != "bf16":
            return ""
        layers = list(pairwise(widths))
        return f"{sum(pays(rows, *layer) for layer in layers)} of {len(layers)} layers"

    def asarray(self, array: Any) -> Array:
        """Put a host array, or a tensor of any device, on the device; without its gradient."""
        if isinstance(array, torch.Tensor):
            dtype = getattr(torch, self.dtype) if array.is_floating_point() else None
            return array.detach().to(self.device, dtype).contiguous()
        host = self._host(array)
        return torch.asarray(host if host.flags.writeable else host.copy(), device=self.device)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch a tensor; this waits for the device."""
        host: np.ndarray = array.numpy(force=True)
        return host

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set the precision of products, and explain the device's out-of-memory error."""
        on_gpu = self.device != "cpu"
        products = precision_on_cuda(self.matmul_precision) if on_gpu else full_on_cpu()
        with super().running(), products:
            yield

    def capture(self, calls: Sequence[Call]) -> Call:
        """Return the launch of a CUDA graph of all these calls."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self.device)
        here = torch.cuda.stream(torch.cuda.current_stream(self.device))  # also after an error
        with torch.cuda.device(self.device), here, torch.cuda.graph(graph, stream=stream):
            for call in calls:
                call()
        replay: Call = graph.replay
        return replay

    def synchronize(self, tree: Any) -> None:  # noqa: ARG002
        """Wait for all that the device was asked to do."""
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def device_name(self) -> str:
        """Return the name of the processor or of the GPU."""
        if self.device == "cpu":
            return super().device_name()
        return str(torch.cuda.get_device_name(self.device))

    def memory(self) -> int:
        """Return the peak of PyTorch's allocations on the device, in bytes."""
        if self.device == "cpu":
            return super().memory()
        return int(torch.cuda.max_memory_allocated(self.device))

    def free_memory(self) -> int:
        """Return what the device has free, in bytes."""
        if self.device == "cpu":
            return super().free_memory()
        return int(torch.cuda.mem_get_info(self.device)[0])

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether CUDA, or the host, ran out of memory."""
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        return known or any(words in str(error) for words in OUT_OF_MEMORY)


def no_gpu() -> str:
    """Return why PyTorch has no GPU here, "" where it has one."""
    with warnings.catch_warnings(action="ignore"):
        if torch.cuda.is_available():
            return ""
    cuda = torch.version.cuda
    if not cuda:
        return "is built without CUDA"
    too_old = query_driver().too_old_for(int(cuda.partition(".")[0]))
    return too_old or f"is built for CUDA {cuda} and sees no GPU"
