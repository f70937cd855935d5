"""What is checked and measured on a GPU, part by part, each by programs of their own."""

import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bench.gpu.outcomes import CRASHED, read_outcomes
from bench.gpu.runner import Ended, Runner
from bench.report import label_of
from bench.results import RESULTS, load
from xpmlp.errors import InputError

OK, FAILED, STOPPED, SKIPPED = "ok", "failed", "stopped", "skipped"
LIBRARIES = ("cupy", "torch", "jax")
FOR_JAX = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
NO_AUTOTUNING = "--xla_gpu_autotune_level=0"
ROUNDS, QUICK_ROUNDS = "5", "2"
VARIANTS_CASE, VARIANTS_ROWS, VARIANTS_SHARE = "300/128", "xpmlp jax", 0.15
TF32_CASES = ("1024/256", "4096-4096/8192")
TF32_ROWS = ("xpmlp cupy", "xpmlp torch", "CUDA graph", "floor")
TRAININGS = (("cupy", "full"), ("cupy", "tf32"), ("torch", "full"))
EPOCHS, QUICK_EPOCHS = "10", "2"
PROFILED = ("cupy", "torch", "jax")
PROFILE_MARK = "PROFILE "
PYTHON = (sys.executable, "-m")


@dataclass
class Outcome:
    """What became of a part: ok, failed, stopped or skipped, the reason, and the figures."""

    status: str = OK
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


class Task(NamedTuple):
    """What a part gets: the runner, its seconds, the folder of results, whether to be quick."""

    runner: Runner
    limit: float
    folder: Path
    quick: bool


Part = Callable[[Task], Outcome]


def tests(task: Task) -> Outcome:
    """Run the tests that need a GPU, those of each library in a process of its own.

    So a library that takes its process down leaves the others. Each is alone on the GPU, and
    what one leaves of its time goes to those after it.
    """
    if not find_spec("pytest"):
        return Outcome(SKIPPED, "pytest is not installed")
    others = " and ".join(f"not {name}" for name in LIBRARIES)
    flags = " ".join([*os.environ.get("XLA_FLAGS", "").split(), NO_AUTOTUNING])
    groups = {**{name: name for name in LIBRARIES}, "commands": others}
    variables = {**FOR_JAX, "XLA_FLAGS": flags}
    figures: dict[str, Any] = {}
    left = task.limit
    for i, (name, selected) in enumerate(groups.items()):
        figures[name] = _run_tests(task, selected, left / (len(groups) - i), variables)
        left -= figures[name]["seconds"]
        if task.runner.stop.requested:
            break
    return Outcome(*_verdict_of_tests(figures), figures)


def _run_tests(task: Task, names: str, limit: float, variables: dict[str, str]) -> dict[str, Any]:
    """Return the outcomes of the tests of some names, and how their process ended."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "outcomes.jsonl")
        (end,) = task.runner.run([_pytest(names, file, task.quick)], limit, variables)
        found = read_outcomes(file)
    if end.stopped:  # the test that was cut short has not failed
        found["bad"] = {test: why for test, why in found["bad"].items() if why != CRASHED}
    return {**found, "seconds": end.seconds, "exit_code": end.code, "stopped": end.stopped}


def _pytest(names: str, file: Path, quick: bool) -> list[str]:
    folders = ("tests/cuda",) if quick else ("tests/cuda", "tests")
    plugin = ("-p", "bench.gpu.outcomes", "--outcomes", str(file), "-p", "no:cacheprovider")
    # A warning of a library that is newer than those here is no failure.
    how = ("-m", "cuda", "-k", names, "-W", "default", "--continue-on-collection-errors", "-q")
    return [*PYTHON, "pytest", *folders, *plugin, *how]


def _verdict_of_tests(figures: dict[str, Any]) -> tuple[str, str]:
    bad = {name: len(group["bad"]) for name, group in figures.items() if group["bad"]}
    stopped = [name for name, group in figures.items() if group["stopped"]]
    # pytest ends with 5 where no test was selected.
    broken = [
        name
        for name, group in figures.items()
        if group["exit_code"] not in (0, 1, 5) and not group["stopped"]
    ]
    if bad or broken:
        counts = [f"{count} of {name}" for name, count in bad.items()]
        return FAILED, "; ".join(counts + [f"pytest of {name} ended badly" for name in broken])
    if stopped:
        return STOPPED, f"not all of {', '.join(stopped)}"
    passed = sum(group["counts"]["passed"] for group in figures.values())
    return (OK, "") if passed else (FAILED, "no test passed: all were skipped, or none was found")


def bench(task: Task) -> Outcome:
    """Time the epochs of all rows on the GPU, then JAX's variants on one case."""
    quick = ["--quick"] if task.quick else []
    end = time.monotonic() + task.limit
    done = _benchmark(task, "bench", quick, task.limit * (1 - VARIANTS_SHARE))
    if task.runner.stop.requested:
        return done
    words = [*quick, "--variants", "--only", VARIANTS_ROWS, "--case", VARIANTS_CASE]
    more = _benchmark(task, "bench-variants", words, end - time.monotonic())
    outcomes = {"all rows": done, "variants": more}
    verdicts = [(name, (one.status, one.reason)) for name, one in outcomes.items()]
    return Outcome(*_worst(verdicts), done.figures | more.figures)


def tf32(task: Task) -> Outcome:
    """Time full float32 beside TF32, where the products are large."""
    cases = TF32_CASES[:1] if task.quick else TF32_CASES
    words = ["--tf32", "--only", *TF32_ROWS, "--case", *cases]
    return _benchmark(task, "bench-tf32", words, task.limit)


def _benchmark(task: Task, name: str, words: Sequence[str], limit: float) -> Outcome:
    folder = task.folder / name
    rounds = QUICK_ROUNDS if task.quick else ROUNDS
    program = [*PYTHON, "bench", "--device", "cuda", "--rounds", rounds, "--no-plots"]
    (ended,) = task.runner.run([[*program, "--out", str(folder), *words]], limit)
    try:
        cases = brief(load(folder / RESULTS))
    except InputError as error:
        return Outcome(FAILED, str(error))
    figures = {name: {"results": f"{name}/{RESULTS}", "cases": cases}}
    return Outcome(*_verdict_of_rows(_verdict(ended), cases), figures)


def _verdict_of_rows(verdict: tuple[str, str], cases: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Return the verdict, with the rows that could not run; where none could, it is a failure."""
    rows = [(label, row) for case in cases for label, row in case["rows"].items()]
    idle = dict.fromkeys(label for label, row in rows if row["status"] == "unavailable")
    if verdict[0] != OK or not idle:
        return verdict
    timed = any(row["median_seconds"] for _, row in rows)
    return (OK if timed else FAILED), f"could not run: {', '.join(idle)}"


def brief(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of each case that a summary needs; epoch: how the row ran."""
    kept = ("status", "reason", "first_epochs", "start", "peak_memory_bytes", "loss", "gflops")
    return [
        {
            "case": case["case"],
            "optimizer": case["optimizer"],
            "data": case["data"],
            "rows": {
                label_of(entry): {
                    "median_seconds": entry["seconds"] and entry["seconds"]["median"],
                    "to_floor": entry["to_floor"] and entry["to_floor"]["median"],
                    "epoch": entry["about"].get("epoch"),
                    **{name: entry[name] for name in kept},
                }
                for entry in case["entries"]
            },
        }
        for case in figures["cases"]
    ]


def train(task: Task) -> Outcome:
    """Train the default net on MNIST, by CuPy in both precisions and by PyTorch."""
    figures: dict[str, Any] = {}
    verdicts = []
    left = task.limit
    for i, (backend, precision) in enumerate(TRAININGS):
        ended, found = _train_one(task, backend, precision, left / (len(TRAININGS) - i))
        figures[f"{backend} {precision}"] = {"wall_seconds": ended.seconds, **found}
        verdicts.append((f"{backend} {precision}", _verdict(ended)))
        left -= ended.seconds
        if task.runner.stop.requested:
            break
    return Outcome(*_worst(verdicts), figures)


def _train_one(
    task: Task, backend: str, precision: str, limit: float
) -> tuple[Ended, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        words = {
            "--dataset": "mnist",
            "--device": "cuda",
            "--backend": backend,
            "--matmul-precision": precision,
            "--epochs": QUICK_EPOCHS if task.quick else EPOCHS,
            "--seed": "0",
            "--out": str(folder),
        }
        flags = [word for pair in words.items() for word in pair]
        program = [*PYTHON, "xpmlp.train", *flags, "--no-fallback", "--no-plots"]
        (ended,) = task.runner.run([program], limit)
        return ended, _training_figures(folder)


def _training_figures(folder: Path) -> dict[str, Any]:
    """Return what the run says of itself, None for what it does not."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
            seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    except (OSError, ValueError, KeyError):
        summary, seconds = {}, []
    names = (
        "dataset",
        "device",
        "library",
        "matmul_precision",
        "epochs",
        "seconds_per_epoch",
        "test_accuracy",
        "test_loss",
        "peak_memory_bytes",
        "failure",
    )
    return {**{name: summary.get(name) for name in names}, "epoch_seconds": seconds}


def profile(task: Task) -> Outcome:
    """Say where the time of one epoch goes, library by library."""
    figures: dict[str, Any] = {}
    verdicts = []
    left = task.limit
    for i, name in enumerate(PROFILED):
        program = [*PYTHON, "bench.gpu.profile", name, *(["--quick"] if task.quick else [])]
        (ended,) = task.runner.run([program], left / (len(PROFILED) - i))
        figures[name] = profile_of(ended.text)
        verdicts.append((name, _verdict(ended)))
        left -= ended.seconds
        if task.runner.stop.requested:
            break
    return Outcome(*_worst(verdicts), figures)


def profile_of(text: str) -> dict[str, Any]:
    """Return what a profile printed, the last line of it that is whole."""
    for line in reversed(text.splitlines()):
        if line.startswith(PROFILE_MARK):
            try:
                return dict(json.loads(line.removeprefix(PROFILE_MARK)))
            except ValueError:
                continue
    return {}


def _verdict(ended: Ended) -> tuple[str, str]:
    if ended.stopped:
        return STOPPED, f"stopped after {ended.seconds:.0f} s"
    if ended.code == 0:
        return OK, ""
    last = next((line for line in reversed(ended.text.splitlines()) if line.strip()), "no message")
    return FAILED, f"exit code {ended.code}: {shortened(last)}"


def shortened(line: str) -> str:
    """Return a line short enough for a table."""
    return line.strip()[:200]


def _worst(verdicts: Sequence[tuple[str, tuple[str, str]]]) -> tuple[str, str]:
    """Return the worst status, and the reasons of all."""
    found = [status for _, (status, _) in verdicts]
    status = next((one for one in (FAILED, STOPPED) if one in found), OK)
    return status, "; ".join(f"{name}: {why}" for name, (_, why) in verdicts if why)


PARTS: dict[str, Part] = {
    "tests": tests,
    "bench": bench,
    "tf32": tf32,
    "train": train,
    "profile": profile,
}
OF_MNIST = ("tf32", "train")
# How the seconds are shared out; what a part leaves goes to those after it.
SHARES = {"tests": 120, "bench": 240, "tf32": 60, "train": 60, "profile": 40}
