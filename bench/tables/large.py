"""A table of 1,000,000 rows and 20 mixed columns: seconds and memory, each in its own process."""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROWS = 1_000_000
REPEATS = 5

TYPED = """
import sys, time
from xpmlp.data.tables.reading import read_raw
from xpmlp.data.tables.typed import typed_columns
began = time.perf_counter()
raw = read_raw(sys.argv[1], fractions=True)
typed_columns(raw, range(len(raw.names)))
print(time.perf_counter() - began)
"""
PANDAS = """
import sys, time
import pandas as pd
began = time.perf_counter()
pd.read_csv(sys.argv[1])
print(time.perf_counter() - began)
"""
STEP = """
import json, sys, time
import xpmlp
from xpmlp.backends.base import process_peak_memory
from xpmlp.data.tables import loading


class FirstStep(BaseException):
    pass


def first_step(*arguments):
    raise FirstStep


def typed(*arguments):
    found = typed_columns(*arguments)
    ends.append(time.perf_counter())
    return found


ends, typed_columns, loading.typed_columns = [], loading.typed_columns, typed
backend = xpmlp.select_backend("numpy", "cpu", "float32").backend
backend.run_epoch = first_step
try:
    xpmlp.fit(xpmlp.Config(dataset=sys.argv[1]), backend=backend)
except FirstStep:
    pass
print(json.dumps({"seconds": time.perf_counter() - ends[0], "peak": process_peak_memory()}))
"""


def make_table(path: Path, rows: int = ROWS) -> None:
    """Write the table, of seeded random entries."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        f"d{i}": np.round(rng.standard_normal(rows) * 10.0 ** (i % 3), 4) for i in range(12)
    }
    columns |= {"n0": rng.integers(0, 100, rows), "n1": rng.integers(0, 100_000, rows)}
    for i, levels in enumerate((4, 6, 8, 10, 12)):
        columns[f"t{i}"] = np.array([f"kind {k}" for k in range(levels)])[
            rng.integers(0, levels, rows)
        ]
    columns["answer"] = np.array(["no", "yes"])[rng.integers(0, 2, rows)]
    pd.DataFrame(columns).to_csv(path, index=False)


def measure(folder: Path, rows: int = ROWS, repeats: int = REPEATS) -> dict[str, Any]:
    """Return the figures."""
    large, small = folder / "large.csv", folder / "small.csv"
    make_table(large, rows)
    make_table(small, 1000)
    typed, pandas = [], []
    for _ in range(repeats):
        typed.append(float(_run(TYPED, large)))
        pandas.append(float(_run(PANDAS, large)))
    whole, empty = json.loads(_run(STEP, large)), json.loads(_run(STEP, small))
    return {
        "bytes": large.stat().st_size,
        "typed_seconds": statistics.median(typed),
        "pandas_seconds": statistics.median(pandas),
        "step_seconds": whole["seconds"],
        "memory": whole["peak"] - empty["peak"],
        "matrix": rows * (14 + 40) * 4,
    }


def _run(program: str, path: Path) -> str:
    """Run a program in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
