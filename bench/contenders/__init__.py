"""The contenders by name, in the order of the report; a library is imported with its row."""

from importlib import import_module
from typing import NamedTuple

from bench.cases import Case, Problem
from bench.contenders.base import Contender, Unavailable


class Entry(NamedTuple):
    """A row: its class (`module.Class`) on each kind of device, and what pip has to install."""

    classes: dict[str, str]
    package: str

    @property
    def devices(self) -> tuple[str, ...]:
        """The kinds of device that the contender knows."""
        return tuple(self.classes)

    def __call__(self, case: Case, problem: Problem, device: str) -> Contender:
        """Prepare the contender on `cpu` or `cuda:N`. Raises Unavailable where it can't run."""
        kind = device.partition(":")[0]
        if kind not in self.classes:
            raise Unavailable(f"it runs on {' and '.join(self.devices)}, not on {device}")
        module, _, name = self.classes[kind].partition(".")
        try:
            contender = getattr(import_module(f"bench.contenders.{module}"), name)
        except ImportError as error:
            raise Unavailable(f"{error}; install it with: pip install {self.package}") from error
        made: Contender = contender(case, problem, device)
        return made


def _everywhere(name: str, package: str) -> Entry:
    return Entry({"cpu": name, "cuda": name}, package)


CONTENDERS: dict[str, Entry] = {
    "xpmlp numpy": Entry({"cpu": "xpmlp_rows.XpmlpNumpy"}, "numpy"),
    "xpmlp cupy": Entry({"cuda": "xpmlp_rows.XpmlpCupy"}, "cupy-cuda13x"),
    "xpmlp torch": _everywhere("xpmlp_rows.XpmlpTorch", "torch"),
    "xpmlp jax": _everywhere("xpmlp_rows.XpmlpJax", "jax"),
    "PyTorch eager": _everywhere("torch_rows.TorchEager", "torch"),
    "PyTorch compile": _everywhere("torch_rows.TorchCompile", "torch"),
    "PyTorch CUDA graph": Entry({"cuda": "cuda_graphs.TorchCudaGraph"}, "torch"),
    "JAX autograd scan": _everywhere("jax_row.JaxAutograd", "jax"),
    "scikit-learn": Entry({"cpu": "sklearn_row.ScikitLearn"}, "scikit-learn"),
    "textbook NumPy": Entry({"cpu": "textbook.Textbook"}, "numpy"),
    "floor": Entry({"cpu": "floor.Floor", "cuda": "cuda_graphs.GpuFloor"}, "torch"),
}
