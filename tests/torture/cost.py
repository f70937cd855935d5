"""What checkpoints cost: the default net, with one every 10 seconds and with none, by turns."""

import statistics
import subprocess
import sys
import time

from tests.torture import fresh
from tests.torture.shop import Shop
from tests.torture.tale import Tale

NET = ["--dataset", "mnist", "--backend", "numpy", "--no-plots", "--quiet", "--epochs", "60"]
ROUNDS = 3
PROGRAM = "import sys; from xpmlp import train; train.SECONDS_BETWEEN_CHECKPOINTS = {}; "
PROGRAM += "sys.exit(train.main(sys.argv[1:]))"
SECONDS_BETWEEN = (10.0, 1e9)


def run(shop: Shop, number: int) -> Tale:
    """Train by turns, two minutes and more in all; told only, as it depends on the machine."""
    times: dict[float, list[float]] = {seconds: [] for seconds in SECONDS_BETWEEN}
    place = shop.root / "cases" / f"cost-{number}"
    place.mkdir(parents=True, exist_ok=True)
    for i in range(ROUNDS):
        for between, whole in times.items():
            _, environment = fresh.command([])
            out = str(place / f"{i}-{between:g}")
            words = [sys.executable, "-c", PROGRAM.format(between), *NET, "--out", out]
            begun = time.monotonic()
            done = subprocess.run(words, env=environment, capture_output=True, text=True)
            if done.returncode:
                return Tale(skipped=done.stderr.strip())
            whole.append(time.monotonic() - begun)
    often, never = (statistics.median(whole) for whole in times.values())
    tale = Tale(f"{often:.2f} s with checkpoints, {never:.2f} s with one alone, of {ROUNDS} each")
    tale.figures = {"seconds_with_checkpoints": often, "seconds_with_one": never}
    return tale
