"""Long runs: memory and checkpoints don't grow, and an epoch stays as fast as it was."""

import statistics
import subprocess
import time

from tests.torture import fresh
from tests.torture.results import history_seconds
from tests.torture.shop import Shop
from tests.torture.tale import Tale

DIGITS = ["--dataset", "digits", "--hidden", "16", "--epochs", "10000", "--batch-size", "256"]
MNIST = ["--dataset", "mnist", "--hidden", "64", "--batch-size", "100", "--epochs", "40"]
RUNS = (DIGITS, MNIST)  # MNIST's: 500 steps an epoch, 20,000 in all
GROWTH_AT_MOST = 0.05
BYTES_A_STEP = 200


def run(shop: Shop, number: int) -> Tale:
    """Train for long, and sample memory and checkpoint all the while."""
    argv, tale = RUNS[number % len(RUNS)], Tale(RUNS[number % len(RUNS)][1])
    folder = shop.root / "cases" / f"long-{number}" / "run"
    folder.parent.mkdir(parents=True, exist_ok=True)
    words, environment = fresh.command(
        [*argv, "--backend", "numpy", "--no-plots", "--out", str(folder)]
    )
    with (folder.parent / "stderr").open("w") as err:
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=err)
        memory, checkpoints = [], [0]
        begun = time.monotonic()
        while process.poll() is None:
            memory.append(fresh.memory_of(process))
            file = folder / "checkpoint.safetensors"
            if file.exists():
                checkpoints.append(file.stat().st_size)
            time.sleep(fresh.SECONDS_BETWEEN_SAMPLES)
    if process.returncode:
        words_said = (folder.parent / "stderr").read_text().strip()
        if "MNIST" in words_said or "can't be" in words_said:
            return Tale(skipped=words_said)
        tale.breaks(f"exit code {process.returncode}: {words_said}")
        return tale
    trained = [bytes for bytes in memory if bytes][len(memory) // 10 :]
    settled, last = _tenth(trained, 0), _tenth(trained, -1)
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
    if settled and last > settled * (1 + GROWTH_AT_MOST):
        tale.breaks(f"memory grew from {settled / 1e6:.0f} to {last / 1e6:.0f} MB")
    return tale


def _tenth(figures: list[float], which: int) -> float:
    """Return the median of the first (0) or last (-1) tenth."""
    size = max(1, len(figures) // 10)
    return statistics.median(figures[:size] if which == 0 else figures[-size:])
