"""The contenders by name, in the order of the report; a library is imported with its row."""

from importlib import import_module
from typing import NamedTuple

from bench.cases import Case, Problem
from bench.contenders.base import Contender, Unavailable


class Entry(NamedTuple):
    """A row: its class (`module.Class`) on each kind of device, and what pip has to install.

    flag: the flag of the command that brings it; without one it is always there. folder: of the
    modules.
    """

    classes: dict[str, str]
    package: str
    flag: str = ""
    folder: str = "bench.contenders"

    @property
    def devices(self) -> tuple[str, ...]:
        """The kinds of device that the contender knows."""
        return tuple(self.classes)

    def __call__(self, case: Case, problem: Problem, device: str) -> Contender:
        """Prepare the contender on `cpu` or `cuda:N`. Raises Unavailable where it can't run."""
        return self.load(device)(case, problem, device)

    def load(self, device: str) -> type[Contender]:
        """Import the class and the library behind it. Raises Unavailable where it can't be."""
        kind = device.partition(":")[0]
        if kind not in self.classes:
            raise Unavailable(f"it runs on {' and '.join(self.devices)}, not on {device}")
        module, _, name = self.classes[kind].partition(".")
        try:
            made: type[Contender] = getattr(import_module(f"{self.folder}.{module}"), name)
        except ImportError as error:
            raise Unavailable(f"{error}; install it with: pip install {self.package}") from error
        made.import_library()
        return made


def _everywhere(name: str, package: str) -> Entry:
    return Entry({"cpu": name, "cuda": name}, package)


def _on_gpu(name: str, package: str, flag: str = "") -> Entry:
    return Entry({"cuda": name}, package, flag)


CONTENDERS: dict[str, Entry] = {
    "xpmlp numpy": Entry({"cpu": "xpmlp_rows.XpmlpNumpy"}, "numpy"),
    "xpmlp numpy replay": Entry({"cpu": "xpmlp_rows.XpmlpNumpyReplayed"}, "numpy"),
    "xpmlp cupy": _on_gpu("xpmlp_rows.XpmlpCupy", "cupy-cuda13x"),
    "xpmlp torch": _everywhere("xpmlp_rows.XpmlpTorch", "torch"),
    "xpmlp torch bf16": Entry({"cpu": "xpmlp_rows.XpmlpTorchBf16"}, "torch"),
    "xpmlp jax": _everywhere("xpmlp_rows.XpmlpJax", "jax"),
    "xpmlp jax unroll 8": _on_gpu("xpmlp_rows.XpmlpJaxUnrolled", "jax", "variants"),
    "PyTorch eager": _everywhere("torch_rows.TorchEager", "torch"),
    "PyTorch compile": _everywhere("torch_rows.TorchCompile", "torch"),
    "PyTorch CUDA graph": _on_gpu("cuda_graphs.TorchCudaGraph", "torch"),
    "JAX autograd scan": _everywhere("jax_row.JaxAutograd", "jax"),
    "scikit-learn": Entry({"cpu": "sklearn_row.ScikitLearn"}, "scikit-learn"),
    "textbook NumPy": Entry({"cpu": "textbook.Textbook"}, "numpy"),
    "floor": Entry({"cpu": "floor.Floor", "cuda": "cuda_graphs.GpuFloor"}, "torch"),
    "xpmlp cupy tf32": _on_gpu("xpmlp_rows.XpmlpCupyTf32", "cupy-cuda13x", "tf32"),
    "xpmlp torch tf32": _on_gpu("xpmlp_rows.XpmlpTorchTf32", "torch", "tf32"),
    "PyTorch CUDA graph tf32": _on_gpu("cuda_graphs.TorchCudaGraphTf32", "torch", "tf32"),
    "floor tf32": _on_gpu("cuda_graphs.GpuFloorTf32", "torch", "tf32"),
}
