"""What many nets take of memory, above the process without them.

`python -m bench.members.memory NAME MEMBERS ROWS` prints JSON: the bytes in use before the nets
are made (libraries and rows are there), the peak until `fit_many` has trained them for an epoch,
and what their arrays need.
"""

import gc
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.members.packs import PACKS, Pack, make_pack_problem
from bench.processes import ROOT
from xpmlp.errors import RunError

PEAK_ANEW = Path("/proc/self/clear_refs"), "5"


def measured(pack: Pack) -> dict[str, int]:
    """Return what a process of its own measures, with Adam. Raises RunError."""
    arguments = [pack.name, str(pack.members), str(pack.rows)]
    command = [sys.executable, "-m", "bench.members.memory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RunError(f"the memory of {pack.name} was not measured: {lines[-1]}")
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


def measure(pack: Pack) -> dict[str, int]:
    """Train an epoch of the nets in this process, on Linux."""
    import xpmlp
    from bench.members.xpmlp_rows import config_of, dataset
    from xpmlp.backends.base import process_peak_memory

    problem = make_pack_problem(replace(pack, members=1))
    data = dataset(pack, problem)
    config = config_of(pack, "always").replace(epochs=1)
    xpmlp.fit(config.replace(seed=pack.members), data, verbose=False)
    gc.collect()
    file, word = PEAK_ANEW
    file.write_text(word)
    before = process_peak_memory()
    xpmlp.fit_many(config.replace(seeds=range(pack.members)).members(), data, verbose=False)
    return {"before": before, "peak": process_peak_memory(), "needed": pack.needed_bytes}


def main(name: str, members: str, rows: str) -> None:
    """Print the figures."""
    pack = replace(PACKS[name], members=int(members), rows=int(rows), optimizer="adam")
    print(json.dumps(measure(pack)))


if __name__ == "__main__":
    main(*sys.argv[1:])
