"""PyTorch on the CPU or on CUDA, without its autograd."""

from typing import Any

import array_api_compat.torch
import numpy as np
import torch

from xpmlp.backends.planned import PlannedBackend
from xpmlp.backends.torch_kernels import TorchKernels
from xpmlp.errors import BackendUnavailableError
from xpmlp.types import Array


class TorchBackend(PlannedBackend):
    """PyTorch's arrays under the hand-derived mathematics.

    Matrix products keep PyTorch's default precision, which is full float32 (TF32 off).
    """

    name = "torch"
    xp = array_api_compat.torch
    library = f"torch {torch.__version__}"

    def __init__(self, device: str, dtype: str) -> None:
        super().__init__(device, dtype)
        self.kernels = TorchKernels(device)
        if device != "cpu" and not torch.cuda.is_available():
            cuda = torch.version.cuda
            state = f"for CUDA {cuda} and sees no GPU" if cuda else "without CUDA"
            raise BackendUnavailableError(f"torch {torch.__version__} was built {state}")

    def asarray(self, array: Any) -> Array:
        """Put a host array on the device; on the CPU it shares memory where it can."""
        host = self._host(array)
        return torch.asarray(host if host.flags.writeable else host.copy(), device=self.device)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Fetch a tensor; this waits for the device."""
        host: np.ndarray = array.numpy(force=True)
        return host

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

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Tell whether CUDA, or the host, ran out of memory."""
        return isinstance(error, MemoryError | torch.OutOfMemoryError)
