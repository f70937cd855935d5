"""`python -m tests.torture.fuzz FORMAT --runs N --seconds S`."""

import argparse
import hashlib
import os
import random
import sys
import time
from functools import partial
from pathlib import Path


def main() -> int:
    """Try one format; 1 where there are finds."""
    parser = argparse.ArgumentParser(prog="tests.torture.fuzz", description=__doc__)
    parser.add_argument("format", help="a format, or `list`")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that are finds")
    parser.add_argument("--blind", action="store_true", help="without Atheris")
    asked = parser.parse_args()
    try:
        import atheris
    except ImportError:
        atheris = None
    if atheris is not None and not asked.blind:
        with atheris.instrument_imports(
            include=["xpmlp", "zipfile", "tomllib", "json", "numpy.lib"]
        ):
            import xpmlp.data.registry
            import xpmlp.data.streaming
            import xpmlp.data.tables.loading
            import xpmlp.runs.comparing
            import xpmlp.runs.fitting  # noqa: F401
    from tests.torture.fuzz.driver import Trial, in_new_folder, inputs
    from tests.torture.fuzz.formats import FORMATS

    if asked.format not in FORMATS:
        print(*FORMATS)
        return 0
    kind = FORMATS[asked.format]
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)

    def told(line: str, data: bytes) -> None:
        print(f"FIND {asked.format}: {line}", flush=True)
        if asked.keep:
            name = hashlib.sha256(line.encode()).hexdigest()[:8]
            (asked.keep / f"{asked.format}-{name}").write_bytes(data)

    def use(folder: Path) -> Trial:
        trial, began = Trial(kind, folder, told), time.monotonic()
        if atheris is not None and not asked.blind:
            guided(atheris, trial, asked)
        for _ in inputs(kind, trial, asked.seed):
            seconds = time.monotonic() - began
            if trial.runs >= asked.runs or seconds > asked.seconds:
                break
        print(
            f"{asked.format}: {trial.runs:,} inputs, {trial.answered:,} of them taken, "
            f"{len(trial.finds)} finds, {seconds:.0f} s, {trial.runs / seconds:,.0f} a second"
        )
        return trial

    return bool(in_new_folder(use).finds)


def guided(atheris, trial, asked) -> None:
    """Let Atheris choose, in a process of its own, which it ends when it has told the count.

    Arrow has one thread there, so that an input covers the same each time, and scikit-learn does
    not check what it is called with, which takes longer than the reading.
    """
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    import pyarrow as pa
    import sklearn

    pa.set_cpu_count(1)
    sklearn.set_config(skip_parameter_validation=True)
    seeds = trial.folder / "seeds"
    seeds.mkdir()
    for number, data in enumerate(trial.warm_up()):
        (seeds / str(number)).write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, max_size)
        return trial.kind.mutate(data, rng)[:max_size]

    options = [f"-runs={asked.runs}", f"-max_total_time={int(asked.seconds)}"]
    options += ["-max_len=16384", "-timeout=60", "-rss_limit_mb=6000", f"-seed={asked.seed + 1}"]
    options += [f"-artifact_prefix={asked.keep or trial.folder}/", str(seeds)]
    atheris.Setup([sys.argv[0], *options], partial(_quietly, trial), custom_mutator=mutate)
    atheris.Fuzz()


def _quietly(trial, data: bytes) -> None:
    trial.run(data)


if __name__ == "__main__":
    sys.exit(main())
