"""The same bits on loaded, few, and slow processors, at the last place in the queue, within limits,
and with other numbers of threads.
"""

import contextlib
import os
import shutil
import sys
from pathlib import Path

from tests.torture import fresh
from tests.torture.results import differences
from tests.torture.shop import Shop
from tests.torture.tale import Tale

NET = ["--dataset", "digits", "--hidden", "64", "32", "--batch-size", "64", "--epochs", "6"]
NET += ["--backend", "numpy", "--no-plots", "--dropout", "0.2"]
BESIDES = ("again", "loaded", "a quota", "nice", "idle", "limits")
COMPILED = (*BESIDES, "one processor", "1 thread", "3 threads", "variables")
REPLAYED = BESIDES  # with other threads only rounding is promised
WAYS = [*(("always", way) for way in COMPILED), *(("never", way) for way in REPLAYED)]
FILES, BYTES = 64, 8 << 30
BEFOREHAND = {
    "one processor": "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
    "nice": "os.nice(19)",
    "idle": "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    "limits": f"resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES})); "
    f"resource.setrlimit(resource.RLIMIT_AS, ({BYTES}, {BYTES}))",
}


def run(shop: Shop, number: int) -> Tale:
    """Train in other surroundings than a plain run, from its config, and compare."""
    steps, way = WAYS[number % len(WAYS)]
    tale = Tale(f"--compile {steps}, {way}")
    plain = _plain(shop, steps)
    folder = shop.root / "cases" / f"surroundings-{number}" / "run"
    folder.parent.mkdir(parents=True, exist_ok=True)
    argv = ["--config", str(plain / "config.toml"), "--no-plots", "--out", str(folder)]
    with contextlib.ExitStack() as stack:
        prefix, variables, reason = (), {}, ""
        if way == "loaded":
            stack.enter_context(fresh.spinning(2 * (os.cpu_count() or 1)))
        elif way == "a quota":
            prefix, reason = stack.enter_context(fresh.share_of_a_processor(60))
        elif way in BEFOREHAND:
            program = f"import os, resource, sys; {BEFOREHAND[way]}; "
            prefix = sys.executable, "-c", program + "os.execv(sys.argv[1], sys.argv[1:])"
        elif way.endswith(("thread", "threads")):
            argv += ["--threads", way.split()[0]]
        elif way == "variables":
            variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        if reason:
            return Tale(skipped=reason)
        done = fresh.train(argv, prefix, **variables)
    if done.returncode:
        tale.breaks(f"exit code {done.returncode}: {done.stderr.strip()}")
        return tale
    tale.breaks(*differences(folder, plain))
    return tale


def _plain(shop: Shop, steps: str) -> Path:
    """Return the run with which the others are compared; made on first use."""
    folder = shop.root / "whole" / f"plain-{steps}"
    with shop.lock(str(folder)):
        if not folder.exists():
            done = fresh.train([*NET, "--compile", steps, "--out", str(folder)])
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                raise RuntimeError(f"the plain run failed: {done.stderr}")
    return folder
