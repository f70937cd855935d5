"""`python -m bench.streaming`: rows that stay on disk beside the same rows in memory.

It compares block shuffling with a full shuffle on rows that are sorted by their class. Then it
writes generated rows in shards and trains one epoch of the same net on the first of them in memory,
on all of them from a cold cache, and again in memory, each in a process of its own: what else the
machine does in the meantime shows in how far the two from memory are apart.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.errors import InputError
from xpmlp.files import write_whole

PROGRAM = "python -m bench.streaming"
COLUMNS, CLASSES, SHARD_ROWS = 784, 10, 65_536
HIDDEN, BATCH = (512, 256), 128
SEEDS = range(5)
SPARE = 4e9


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(prog=PROGRAM, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--gb", type=float, default=20.0, metavar="N", help="of rows on disk [20]")
    parser.add_argument(
        "--memory-gb", type=float, default=2.0, metavar="N", help="of rows in memory [2]"
    )
    parser.add_argument(
        "--at", type=path, default=Path("streamed-rows"), metavar="DIR", help="where rows are put"
    )
    parser.add_argument(
        "--out", type=path, default=Path("bench/results/streaming"), metavar="DIR", help="results"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: measure(arguments))


def measure(arguments: argparse.Namespace) -> int:
    """Measure and save, or be the process that measures one of them."""
    if arguments.child:
        print(json.dumps(CHILDREN[arguments.child](arguments)))
        return 0
    from bench.machine import describe_machine

    generate(arguments.at, arguments.gb)
    found: dict[str, Any] = {"machine": describe_machine()}
    try:
        for name in CHILDREN:
            found[name] = _in_a_process(arguments, name)
            print(name, json.dumps(found[name]), flush=True)
    finally:
        shutil.rmtree(arguments.at)
    found["ratios"] = {
        name: [found["disk"][name] / found[memory][name] for memory in ("memory", "memory_after")]
        for name in ("rows_per_second", "processor_seconds_per_row")
    }
    print("from disk / from memory:", json.dumps(found["ratios"]))
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.out / "streaming.json", json.dumps(found, indent=1).encode())
    return 0


def generate(folder: Path, gigabytes: float) -> None:
    """Write so many GB of float32 rows in shards: classes with means of their own, and noise."""
    import numpy as np

    shards = max(2, round(gigabytes * 1e9 / (SHARD_ROWS * COLUMNS * 4)))
    free = shutil.disk_usage(folder.absolute().parent).free
    if free < gigabytes * 1e9 + SPARE:
        raise InputError(
            f"{folder}: {gigabytes:g} GB of rows don't fit the {free / 1e9:.0f} GB that are free; "
            "choose fewer with --gb"
        )
    folder.mkdir()
    rng = np.random.default_rng(0)
    means = rng.normal(size=(CLASSES, COLUMNS)).astype(np.float32)
    noise = rng.normal(size=(SHARD_ROWS, COLUMNS), scale=4).astype(np.float32)
    pairs = []
    for i in range(shards):
        y = rng.integers(CLASSES, size=SHARD_ROWS)
        pairs.append((f"x{i:05}.npy", f"y{i:05}.npy"))
        np.save(folder / pairs[-1][0], np.roll(noise, i, axis=1) + means[y])
        np.save(folder / pairs[-1][1], y)
    from xpmlp.data.shards import MANIFEST, Shards

    parts = {"train": pairs[1:], "test": pairs[:1]}
    names = tuple(map(str, range(CLASSES)))
    manifest = Shards(parts, task="classification", class_names=names).as_json()
    write_whole(folder / MANIFEST, json.dumps(manifest).encode())
    os.sync()


def _in_a_process(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.streaming", "--child", name]
    command += ["--at", str(arguments.at), "--memory-gb", str(arguments.memory_gb)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def train_from_disk(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on all rows; their pages are dropped from the cache before the epoch."""
    return _train(arguments, in_memory=False)


def train_in_memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on the first rows, in memory, scaled alike, all of them shuffled."""
    return _train(arguments, in_memory=True)


def _train(arguments: argparse.Namespace, *, in_memory: bool) -> dict[str, Any]:
    from dataclasses import replace

    import xpmlp
    from xpmlp.training.trainer import Trainer

    watch = Watch()
    if not in_memory:
        _forget(arguments.at)
    begun = time.perf_counter()
    data = xpmlp.load_dataset(arguments.at / "manifest.json", validation=SHARD_ROWS // 8)
    opened = time.perf_counter() - begun
    if in_memory:
        rows = min(len(data.train), int(arguments.memory_gb * 1e9 / (COLUMNS * 4)))
        data = replace(data, train=xpmlp.Rows(data.train.x[:rows], data.train.y[:rows] * 1))
    backend = xpmlp.select_backend("numpy", "cpu").backend
    config = xpmlp.Config(hidden=HIDDEN, batch_size=BATCH, epochs=1, learning_rate=0.01)
    trainer = Trainer(config, data, backend, score_train=False)
    if not in_memory:
        _forget(arguments.at)
    before, used, begun = bytes_read(), time.process_time(), time.perf_counter()
    (record,) = trainer.epochs()
    seconds, read = time.perf_counter() - begun, bytes_read() - before
    used = time.process_time() - used
    return {
        "rows": len(data.train),
        "gigabytes": len(data.train) * COLUMNS * 4 / 1e9,
        "seconds_to_open": opened,
        "seconds": record.seconds,
        "seconds_with_validation": seconds,
        "rows_per_second": record.images_per_second,
        "processor_seconds_per_row": used / len(data.train),
        "gigabytes_read_from_the_disk": read / 1e9,
        "peak_anonymous_gigabytes": watch.close() / 1e9,
        "steps": trainer.problem.how,
        "test_accuracy": trainer.evaluate(data.test).accuracy,
    }


def shuffles(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return test accuracies with rows sorted by class, of several seeds, for each window."""
    del arguments
    import tempfile

    import numpy as np
    from sklearn.datasets import load_digits

    import xpmlp
    from xpmlp.data import streamed

    x, y = load_digits(return_X_y=True)
    held = np.random.default_rng(0).permutation(len(y)) < len(y) // 5
    order = np.argsort(y[~held], kind="stable")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, some in (("", (x[~held][order], y[~held][order])), ("_test", (x[held], y[held]))):
            np.save(folder / f"x{part}.npy", some[0].astype(np.float32))
            np.save(folder / f"y{part}.npy", some[1])
        block = 64 * 4 * -(-int((~held).sum()) // streamed.FEWEST_BLOCKS)
        for blocks in (1, 2, 4, 8, 16, 32, 64):
            streamed.WINDOW_BYTES = blocks * block
            accuracies = []
            for seed in SEEDS:
                config = xpmlp.Config(
                    hidden=(64,), epochs=20, batch_size=32, seed=seed, backend="numpy", device="cpu"
                )
                run = xpmlp.fit(config, xpmlp.load_dataset(f"{folder}/", validation=0))
                accuracies.append(run.test.accuracy if run.test else None)
            found[str(blocks)] = accuracies
    return found


CHILDREN = {
    "shuffles": shuffles,
    "memory": train_in_memory,
    "disk": train_from_disk,
    "memory_after": train_in_memory,
}


class Watch:
    """The peak of this process's anonymous memory, looked at ten times a second."""

    def __init__(self) -> None:
        self.peak, self._closed = 0, Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(0.1):
            self.peak = max(self.peak, anonymous())

    def close(self) -> int:
        """Return the peak in bytes."""
        self._closed.set()
        self._thread.join()
        return max(self.peak, anonymous())


def anonymous() -> int:
    """Return this process's anonymous memory, in bytes: resident, and not of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def bytes_read() -> int:
    """Return how much this process had the disk read, in bytes."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def _forget(folder: Path) -> None:
    """Drop the pages of all files from the system's cache."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


if __name__ == "__main__":
    run_as_program(main)
