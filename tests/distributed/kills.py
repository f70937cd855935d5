"""Kill, or stop, one rank of a job at a random moment, again and again; see what is left.

    python -m tests.distributed.kills --times 20 --seed 0

Each time four ranks train the same net; a random one is killed (every fifth time stopped, by
SIGSTOP) at a random moment between its start and its expected end. The job must end by itself
with an exit code that is not 0, name the rank, and leave either no checkpoint or a whole one, from
which two ranks come to the weights of the run that nobody disturbed (1e-10).
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tests.distributed.jobs import TRAIN, WHY_NOT, ended, processes_in, started

RANKS, FEWER, TIMEOUT = 4, 2, 5
NET = ["--dataset", "digits", "--hidden", "64", "--epochs", "500", "--dtype", "float64"]
NET += ["--device", "cpu", "--no-plots", "--dropout", "0.1"]
NAMED = re.compile(r"rank (\d+) \(process (\d+) on \S+\) (died|has not answered)")


def main() -> int:
    """Run all rounds, print a line of each and one of all; return 0 where all were well."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=20, help="rounds [20]")
    parser.add_argument("--seed", type=int, default=0, help="of moments and ranks [0]")
    asked = parser.parse_args()
    if WHY_NOT:
        print(WHY_NOT)
        return 2
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        begun = time.monotonic()
        assert ended(RANKS, *TRAIN, *NET, "--out", place / "whole")[0] == 0
        whole = time.monotonic() - begun
        lines = [one_round(i, rng, place, whole) for i in range(asked.times)]
    bad = [line for line in lines if not line]
    print(f"{len(lines) - len(bad)} of {len(lines)} as they should be")
    return 1 if bad else 0


def one_round(i: int, rng: random.Random, place: Path, whole: float) -> bool:
    """Disturb one job, print what came of it, and tell whether all was well."""
    number = signal.SIGSTOP if i % 5 == 4 else signal.SIGKILL
    rank, moment = rng.randrange(RANKS), rng.uniform(0.2, 0.95) * whole
    out = place / f"run-{i}"
    begun = time.monotonic()
    job = started(RANKS, *TRAIN, *NET, "--out", out, XPMLP_RANK_TIMEOUT=str(TIMEOUT))
    header = Header(job)
    processes = header.wait(begun + moment)
    if not processes:  # its ranks are not known yet: wait until they are
        processes = header.wait(begun + 60, early=True)
    hit = time.monotonic()
    gone = job.poll() is not None
    if not gone:
        os.kill(processes[rank], number)
    done = (out / "summary.json").exists()
    errors = header.rest()
    took = time.monotonic() - hit
    named = {(int(found[1]), int(found[2])) for found in NAMED.finditer(errors)}
    steps = [
        gone or job.returncode != 0,
        gone or done or named == {(rank, processes[rank])},
        took < (1.0 if number == signal.SIGKILL else TIMEOUT) + 15.0,
        goes_on(out, place / "whole"),
    ]
    what = "ended before" if gone else signal.Signals(number).name
    what += ", its results written," * done
    print(
        f"{i + 1:>2}: rank {rank} {what} after {hit - begun:.1f} of {whole:.1f} s; exit code "
        f"{job.returncode} {took:.1f} s later; named: {'yes' if named else 'no'}; "
        f"{'well' if all(steps) else f'NOT WELL {steps} {errors[-300:]}'}",
        flush=True,
    )
    return all(steps)


class Header:
    """What a job prints, read as it comes."""

    def __init__(self, job) -> None:
        self.job, self.text = job, ""
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        for line in self.job.stdout:
            self.text += line

    def wait(self, until: float, early: bool = False) -> list[int]:
        """Wait until a time, or until the processes are known where that is enough."""
        while time.monotonic() < until and not (early and processes_in(self.text)):
            time.sleep(0.01)
        return processes_in(self.text)

    def rest(self) -> str:
        """Wait for the end of the job; return what it had to say of it."""
        errors = self.job.stderr.read()
        self.thread.join()
        self.job.wait()
        return errors


def goes_on(out: Path, whole: Path) -> bool:
    """Tell whether the run comes to the same weights by fewer ranks."""
    code, _, errors = ended(FEWER, *TRAIN, "--resume", out, "--no-plots")
    if code:
        print(errors)
        return False
    mine, its = (load_file(path / "model.safetensors") for path in (out, whole))
    return max(np.abs(mine[name] - its[name]).max() for name in its) < 1e-10


if __name__ == "__main__":
    sys.exit(main())
