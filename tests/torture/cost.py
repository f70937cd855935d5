"""What checkpoints cost: the default net for two minutes, with one every 10 seconds and with none.

Two such runs differ by more than what is asked for, so the time within the savings is told too.
"""

import json
import subprocess
import sys

from tests.torture import fresh
from tests.torture.shop import Shop
from tests.torture.tale import Tale

NET = ["--dataset", "mnist", "--backend", "numpy", "--no-plots", "--quiet", "--epochs", "{epochs}"]
SECONDS, FEW = 180.0, 20
PROGRAM = """
import json, sys, time
from xpmlp import train
from xpmlp.runs.directory import RunDirectory
train.SECONDS_BETWEEN_CHECKPOINTS = {between}
save, times = RunDirectory.save_checkpoints, []
def timed(self, trainers):
    begun = time.monotonic()
    problems = save(self, trainers)
    times.append(time.monotonic() - begun)
    return problems
RunDirectory.save_checkpoints = timed
begun = time.monotonic()
code = train.main(sys.argv[1:])
print(json.dumps({{"seconds": time.monotonic() - begun, "savings": times}}))
sys.exit(code)
"""


def run(shop: Shop, number: int) -> Tale:
    """Train for two minutes and more, twice; told only, as it depends on the machine."""
    place = shop.root / "cases" / f"cost-{number}"
    place.mkdir(parents=True, exist_ok=True)
    try:
        tried = _trained(FEW, 1e9, place / "few")
        epochs = int(FEW * SECONDS / tried["seconds"])
        often, never = (_trained(epochs, s, place / f"{s:g}") for s in (10.0, 1e9))
    except subprocess.CalledProcessError as error:
        return Tale(skipped=error.stderr.strip())
    saving, whole = sum(often["savings"]), often["seconds"]
    tale = Tale(f"{len(often['savings'])} checkpoints took {saving / whole:.2%} of {whole:.0f} s")
    tale.figures = {
        "seconds_with_checkpoints": whole,
        "seconds_with_two": never["seconds"],
        "checkpoints": len(often["savings"]),
        "seconds_in_them": saving,
    }
    return tale


def _trained(epochs, between, out):
    """Return what a training took, and each of its savings."""
    _, environment = fresh.command([])
    words = [word.format(epochs=epochs) for word in NET]
    program = [sys.executable, "-c", PROGRAM.format(between=between)]
    done = subprocess.run(
        [*program, *words, "--out", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
