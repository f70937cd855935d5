"""What ranks bring: a step's time measured and by a model, and what the model says of GPUs.

    mpiexec -n 2 python -m mpi4py -m xpmlp.distributed.scaling
    python -m xpmlp.distributed.scaling --predict

The model: a step of N ranks takes C(B/N) + A(N), C the computing of a rank's share of the B rows,
A an all-reduce of b bytes. Here C is measured on all ranks at once, each by itself, and A = a + b/β
is fitted to all-reduces of other sizes. For GPUs A is that of a ring with a tree's latency,
2a log₂N + 2b(N-1)/(Nβ) (Thakur, Rabenseifner, Gropp 2005, doi:10.1177/1094342005051521), and C a
constant and the multiplications of three passes at a constant rate: assumed, not measured.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import log2
from typing import NamedTuple

import numpy as np

from xpmlp.console import show
from xpmlp.distributed.backend import over_ranks
from xpmlp.distributed.ranks import Ranks
from xpmlp.distributed.starting import in_ranks

PROGRAM = "xpmlp distributed.scaling"
WIDTHS, BATCH, STEPS, REPEATS = (784, 300, 100, 10), 512, 60, 30
SIZES = (1_000, 10_000, 50_000, 500_000, 1_000_000)  # of the all-reduces that A is fitted to
NETS = {"784-300-100-10": WIDTHS, "784-4096-4096-10": (784, 4096, 4096, 10)}
GPUS = tuple(2**k for k in range(3, 11))


class Link(NamedTuple):
    """Of an all-reduce: seconds that it takes whatever its size, and bytes a second."""

    latency: float
    bandwidth: float


class Device(NamedTuple):
    """Of a GPU: seconds of a step whatever its rows, and multiplications a second."""

    floor: float
    speed: float


ASSUMED_LINK, ASSUMED_DEVICE = Link(1e-5, 2.5e10), Device(1e-4, 1e13)


def fitted(sizes: Sequence[int], seconds: Sequence[float]) -> Link:
    """Return latency and bandwidth of t = a + b/β, by least squares of the relative errors."""
    b, t = np.asarray(sizes, np.float64), np.asarray(seconds)
    (latency, each), *_ = np.linalg.lstsq(np.stack([1 / t, b / t], axis=1), np.ones(len(t)))
    return Link(float(latency), 1.0 / float(each))


def ring(ranks: int, size: int, link: Link) -> float:
    """Return the seconds of an all-reduce of so many bytes; 0 of one rank."""
    if ranks == 1:
        return 0.0
    return 2 * link.latency * log2(ranks) + 2 * size * (ranks - 1) / (ranks * link.bandwidth)


def step_seconds(widths: Sequence[int], rows: float, ranks: int, d: Device, link: Link) -> float:
    """Return the seconds of a step in which each rank has so many rows, float32."""
    layers = list(pairwise(widths))
    parameters = sum((n + 1) * m for n, m in layers)
    work = 3 * rows * sum(n * m for n, m in layers)
    return d.floor + work / d.speed + ring(ranks, 4 * parameters, link)


def predictions() -> Iterator[str]:
    """Yield the lines of the table for GPUs."""
    d, link = ASSUMED_DEVICE, ASSUMED_LINK
    yield (
        f"predicted, not measured; assumed: a step's floor {1e6 * d.floor:.0f} µs, {d.speed:.0e} "
        f"multiplications/s, latency {1e6 * link.latency:.0f} µs, {link.bandwidth / 1e9:.0f} GB/s"
    )
    yield "| net | GPUs | 65,536 rows a step: ms | of ideal | 1,024 rows each: ms | of ideal |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, widths in NETS.items():
        strong, weak = (step_seconds(widths, rows, 1, d, link) for rows in (65_536, 1_024))
        for n in GPUS:
            one = step_seconds(widths, 65_536 / n, n, d, link)
            other = step_seconds(widths, 1_024, n, d, link)
            yield (
                f"| {name} | {n:,} | {1e3 * one:.3f} | {strong / (n * one):.0%} | "
                f"{1e3 * other:.3f} | {weak / other:.0%} |"
            )


def all_reduces(ranks: Ranks, sizes: Sequence[int]) -> list[float]:
    """Return the median seconds of an all-reduce of so many bytes each."""
    found = []
    for size in sizes:
        buffer, seconds = np.zeros(size // 4, np.float32), []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            ranks.all_sum(buffer)
            seconds.append(time.perf_counter() - begun)
        found.append(statistics.median(seconds))
    return found


def measured(ranks: Ranks) -> Iterator[str]:
    """Yield what steps cost these ranks, and what the model says of it."""
    shared, figures = _step(ranks, BATCH, shared=True)
    alone, _ = _step(ranks, BATCH // ranks.size, shared=False)
    yield (
        f"{ranks.size} ranks, {'-'.join(map(str, WIDTHS))}, {BATCH} rows a step, float32: "
        f"{1e3 * shared:.2f} ms a step"
    )
    if ranks.size == 1:
        return
    link = fitted(SIZES, all_reduces(ranks, SIZES))
    size = figures["bytes_per_step"]
    model = alone + link.latency + size / link.bandwidth
    yield (
        f"model: {1e3 * alone:.2f} ms computing + all-reduce of {size:,} bytes at "
        f"{1e6 * link.latency:.0f} µs and {link.bandwidth / 1e9:.2f} GB/s = {1e3 * model:.2f} ms, "
        f"{model / shared - 1:+.0%} of what was measured"
    )
    parts = ", ".join(
        f"{1e3 * figures[f'{name}_seconds_per_step']:.2f} ms {name}"
        for name in ("computing", "communicating", "waiting")
    )
    yield f"in the step: {parts}"


def _step(ranks: Ranks, rows: int, *, shared: bool) -> tuple[float, dict[str, float]]:
    """Return the seconds of a step, and what sharing it cost; the fastest of five epochs."""
    from xpmlp.backends.registry import load
    from xpmlp.data.dataset import Dataset
    from xpmlp.training.config import Config
    from xpmlp.training.trainer import Trainer

    rng, backend = np.random.default_rng(0), load("numpy", "cpu", "float32")
    count = STEPS * rows
    x = rng.standard_normal((count, WIDTHS[0]), np.float32)
    data = Dataset.from_arrays(x, rng.integers(0, WIDTHS[-1], count), validation=0, scale="none")
    config = Config(hidden=WIDTHS[1:-1], batch_size=rows, epochs=5, compile="never", record="loss")
    backend = over_ranks(backend, ranks) if shared else backend
    trainer = Trainer(config, data, backend, score_train=False)
    seconds = [record.seconds for record in trainer.epochs()]
    ranks.all_sum(np.zeros(1))
    return min(seconds) / trainer.steps_per_epoch, backend.shared() or {}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""

    def run(ranks: Ranks) -> int:
        parser = argparse.ArgumentParser(PROGRAM, description="What ranks bring, in seconds.")
        parser.add_argument("--predict", action="store_true", help="the table for GPUs alone")
        asked = parser.parse_args(argv)
        for line in predictions() if asked.predict else measured(ranks):
            show(line, sys.stdout)
        return 0

    return in_ranks(PROGRAM, run)


if __name__ == "__main__":
    sys.exit(main())
