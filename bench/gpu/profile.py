"""Where an epoch's time goes on a GPU: `python -m bench.gpu.profile BACKEND [--quick]`.

Trains 300/128 and prints a line `PROFILE {…}` as soon as there is something new to say: the
seconds of the first and of later epochs, what the backend says of itself, and the kernels and
copies of one epoch, as PyTorch's profiler sees those of any library in its process.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from bench.cases import CASES, make_problem
from bench.choices import QUICK_CASE, QUICK_ROWS
from bench.contenders import CONTENDERS
from bench.contenders.base import Unavailable
from bench.gpu.parts import PROFILE_MARK
from xpmlp.console import show, warn

LATER_EPOCHS = 5
KERNELS = 15
DEVICE = "cuda:0"


def profile(backend: str, quick: bool, tell: Callable[[dict[str, Any]], None]) -> None:
    """Train a few epochs and tell what they took, then profile one more."""
    case = CASES[QUICK_CASE]
    if quick:
        case = replace(case, rows=QUICK_ROWS)
    problem = make_problem(case)
    start = time.perf_counter()
    contender: Any = CONTENDERS[f"xpmlp {backend}"](case, problem, DEVICE)
    prepare = time.perf_counter() - start
    seconds = [_seconds(contender, problem.order(i)) for i in range(1 + LATER_EPOCHS)]
    middle = median(seconds[1:])
    figures: dict[str, Any] = {
        "case": case.name,
        "rows": case.rows,
        "steps": case.steps,
        "prepare_seconds": prepare,
        "first_epoch_seconds": seconds[0],
        "later_epoch_seconds": seconds[1:],
        "first_epoch_extra_seconds": seconds[0] - middle,
        "microseconds_per_step": 1e6 * middle / case.steps,
        "peak_memory_bytes": contender.peak_memory(),
        "how": contender.how_it_ran,
        "about": contender.describe(),
    }
    tell(figures)
    order = problem.order(len(seconds))
    tell(figures | kernels_of(lambda: contender.epoch(order)))


def _seconds(contender: Any, order: Any) -> float:
    start = time.perf_counter()
    contender.epoch(order)
    return time.perf_counter() - start


def kernels_of(run: Callable[[], None]) -> dict[str, Any]:
    """Return the launches and seconds of each kernel that runs, the longest first.

    Where the profiler is not there or sees nothing, the reason is said instead.
    """
    try:
        from torch.profiler import ProfilerActivity
        from torch.profiler import profile as profiler

        with profiler(activities=[ProfilerActivity.CUDA]) as seen:
            run()
        events = [(e.key, e.count, _device_seconds(e)) for e in seen.key_averages()]
    except Exception as error:  # whatever a profiler raises: the times above stay
        return {"kernels": None, "kernels_reason": f"{type(error).__name__}: {error}"[:200]}
    events = sorted((e for e in events if e[2] > 0), key=lambda event: -event[2])
    if not events:
        return {"kernels": None, "kernels_reason": "the profiler saw no kernel"}
    return {
        "kernel_launches": sum(count for _, count, _ in events),
        "kernel_seconds": sum(seconds for _, _, seconds in events),
        "kernels": [
            {"name": name[:100], "count": count, "seconds": seconds}
            for name, count, seconds in events[:KERNELS]
        ],
    }


def _device_seconds(event: Any) -> float:
    """Return an event's own time on the device; the attribute has changed its name once."""
    for name in ("self_device_time_total", "self_cuda_time_total"):
        if hasattr(event, name):
            return float(getattr(event, name)) / 1e6
    return 0.0


def main(words: list[str]) -> int:
    """Profile the backend that is named; return the exit code."""

    def tell(figures: dict[str, Any]) -> None:
        show(PROFILE_MARK + json.dumps(figures), sys.stdout)

    try:
        profile(words[0], "--quick" in words, tell)
    except Unavailable as error:
        warn(f"bench.gpu.profile: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
