"""Figures of a run that never took place."""

from bench.cases import CASES
from bench.harness import Row
from bench.processes import Setup
from bench.results import FORMAT, case_figures

POOLS = [
    {"library": "openmp", "file": "o.so", "version": None, "kernel": None, "threads": 2},
    {"library": "openblas", "file": "b.so", "version": "0.3", "kernel": "Haswell", "threads": 2},
]
FLOOR = [1.0, 1.0, 2.0]


def row(name, seconds, device="cpu", **more):
    """A row that went well, with these seconds in its rounds."""
    about = {"device_name": f"a {device}", "thread_pools": POOLS if device == "cpu" else []}
    made = {
        "prepare": 0.5,
        "first_epochs": [2.5, 0.5],
        "loss": 0.1,
        "peak_memory": 3 * 2**20,
        "about": about,
    }
    return Row(name, device, seconds=list(seconds), **{**made, **more})


def rows():
    """Rows of three rounds, of which the last is twice as slow for all, and two refusals."""
    return [
        row("xpmlp numpy", [2.0, 2.0, 4.0]),
        row("PyTorch eager", [4.0, 4.0, 8.0]),
        row("JAX scan", [3.0, 3.0, 6.0]),
        row("floor", FLOOR, loss=None),
        Row("absent", "cpu", "unavailable", "no such library"),
        row("wrong", [0.1, 0.1, 0.1], status="invalid", reason="its loss ended at 2", loss=2.0),
    ]


def run(*cases, sweep=None, busy=0):
    """A whole run; by default of the case 300/128."""
    return {
        "benchmark": FORMAT,
        "finished": "2026-01-02T03:04:05+0000",
        "interrupted": False,
        "sweep": sweep,
        "rounds": 3,
        "threads": 2,
        "busy": busy,
        "machine": {
            "cpu": "a processor",
            "processors": 2,
            "cpu_features": ["avx2", "fma"],
            "memory_bytes": 8 * 2**30,
            "gpus": [],
            "system": "a system",
            "python": "3.11",
            "libraries": {"xpmlp": "1", "numpy": "2"},
            "commit": "0123456789",
        },
        "environment": {"OMP_NUM_THREADS": "2"},
        "cases": list(cases) or [case(busy=busy)],
    }


def case(name="300/128", made=None, kernels=None, busy=0):
    """The figures of a case of the table."""
    setup = Setup(2, kernels, busy)
    return case_figures(CASES[name], "MNIST", setup, rows() if made is None else made)


def entry(figures, name, device="cpu"):
    """One row's figures."""
    (found,) = [e for e in figures["entries"] if (e["name"], e["device"]) == (name, device)]
    return found
