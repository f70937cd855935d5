"""Long runs: memory and checkpoints don't grow, and an epoch stays as fast as it was.

Memory counts from when two lines on epochs were told, so that all that an epoch needs was loaded,
compiled and evaluated once, until the last one was, after which the results are written.
"""

import statistics
import subprocess
import time

from tests.torture import fresh
from tests.torture.results import history_seconds
from tests.torture.shop import Shop
from tests.torture.tale import EPOCH, Tale

DIGITS = ["--dataset", "digits", "--hidden", "16", "--batch-size", "256"]
MNIST = ["--dataset", "mnist", "--hidden", "64", "--batch-size", "100"]
RUNS = ((DIGITS, 10_000), (MNIST, 40))  # MNIST's: 500 steps an epoch, 20,000 in all
TOLD_BEFORE = 2
GROWTH_AT_MOST = 0.05


def run(shop: Shop, number: int) -> Tale:
    """Train for long, and sample memory and checkpoint all the while."""
    options, epochs = RUNS[number % len(RUNS)]
    tale, folder = Tale(options[1]), shop.root / "cases" / f"long-{number}" / "run"
    folder.parent.mkdir(parents=True, exist_ok=True)
    argv = [*options, "--epochs", f"{epochs}", "--backend", "numpy", "--no-plots"]
    words, environment = fresh.command([*argv, "--out", str(folder)])
    out, err = (folder.parent / name for name in ("stdout", "stderr"))
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(words, env=environment, stdout=stdout, stderr=stderr)
        memory, checkpoints = [], [0]
        begun = time.monotonic()
        while process.poll() is None:
            resident, told = fresh.memory_of(process), EPOCH.findall(out.read_text())
            if len(told) >= TOLD_BEFORE and told[-1] != f"{epochs}":
                memory.append(resident)
            file = folder / "checkpoint.safetensors"
            if file.exists():
                checkpoints.append(file.stat().st_size)
            time.sleep(fresh.SECONDS_BETWEEN_SAMPLES)
    if process.returncode:
        words_said = err.read_text().strip()
        if "MNIST" in words_said or "can't be" in words_said:
            return Tale(skipped=words_said)
        tale.breaks(f"exit code {process.returncode}: {words_said}")
        return tale
    settled, last = _tenth(memory, 0), _tenth(memory, -1)
    seconds = history_seconds(folder / "history.csv")
    first, final = _tenth(seconds, 0), _tenth(seconds, -1)
    tale.figures = {
        "seconds": time.monotonic() - begun,
        "epochs": len(seconds),
        "resident_megabytes_settled": settled / 1e6,
        "resident_megabytes_at_the_end": last / 1e6,
        "seconds_per_epoch_first_tenth": first,
        "seconds_per_epoch_last_tenth": final,
        "largest_checkpoint_megabytes": max(checkpoints) / 1e6,
    }
    tale.adds(
        f"{len(seconds)} epochs, {settled / 1e6:.0f} to {last / 1e6:.0f} MB, {first * 1e3:.3g} to "
        f"{final * 1e3:.3g} ms per epoch, checkpoint {max(checkpoints) / 1e6:.2f} MB"
    )
    if last > settled * (1 + GROWTH_AT_MOST):
        tale.breaks(f"memory grew from {settled / 1e6:.0f} to {last / 1e6:.0f} MB")
    return tale


def _tenth(figures: list[float], which: int) -> float:
    """Return the median of the first (0) or last (-1) tenth."""
    size = max(1, len(figures) // 10)
    return statistics.median(figures[:size] if which == 0 else figures[-size:])
