"""The page of a check on a GPU: what was checked, what it took, what came of it."""

from collections.abc import Iterator
from typing import Any

from bench.gpu.outcomes import CRASHED
from bench.report import count

UNKNOWN = "not measured"
Figures = dict[str, Any]


def page(check: Figures) -> str:
    """Return the Markdown of a check."""
    blocks = [
        f"# Check on a GPU, {check['started'][:10]}",
        hardware_text(check["hardware"]),
        f"Rows of the benchmark: {check['data']}.",
        table(["part", "outcome", "seconds", "what came of it"], map(_part_row, check["parts"])),
    ]
    for part in check["parts"]:
        blocks += [text for text in _details(part) if text]
    return "\n\n".join(blocks) + "\n"


def hardware_text(hardware: Figures) -> str:
    """Return the GPU and its libraries in a line."""
    gpus = "; ".join(", ".join(gpu.values()) for gpu in hardware["gpus"]) or "unknown GPU"
    runtimes = ", ".join(
        f"{name} {version or 'unknown'}" for name, version in hardware["cuda_runtimes"].items()
    )
    libraries = ", ".join(" ".join(pair) for pair in hardware["libraries"].items())
    return (
        f"{gpus}; the driver's CUDA {hardware['driver_cuda']}, the libraries' {runtimes}. "
        f"Python {hardware['python']}, {libraries}. Commit {hardware['commit'] or 'unknown'}."
    )


def table(head: list[str], rows: Any) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _part_row(part: Figures) -> list[str]:
    outcome = part["status"] + (f": {part['reason']}" if part["reason"] else "")
    return [part["name"], _cell(outcome), f"{part['seconds']:.0f}", _cell(_came_of(part))]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _came_of(part: Figures) -> str:
    figures = part["figures"]
    if part["name"] == "tests":
        return "; ".join(f"{name}: {_counts(group['counts'])}" for name, group in figures.items())
    if part["name"] in ("bench", "tf32"):
        runs = figures.values()
        return ", ".join(f"{count(len(r['cases']), 'case')} in {r['results']}" for r in runs)
    return ", ".join(figures)


def _counts(counts: dict[str, int]) -> str:
    said = [f"{count} {name}" for name, count in counts.items() if count]
    return ", ".join(said) or "no test"


def _details(part: Figures) -> Iterator[str]:
    figures = part["figures"]
    if part["name"] == "tests":
        yield _bad_tests(figures)
    elif part["name"] in ("bench", "tf32"):
        yield from (_medians(name, run["cases"]) for name, run in figures.items())
    elif part["name"] == "train" and figures:
        yield table(
            ["training", "data", "epochs", "s/epoch", "first epoch", "test accuracy", "total s"],
            (_training_row(name, one) for name, one in figures.items()),
        )
    elif part["name"] == "profile" and figures:
        yield table(
            ["profile", "first +s", "µs/step", "kernels, copies/step", "their share", "epochs"],
            (_profile_row(name, one) for name, one in figures.items()),
        )


def _bad_tests(figures: Figures) -> str:
    bad = [
        f"- `{test}`: {_cell(reason)}"
        for group in figures.values()
        for test, reason in group["bad"].items()
    ]
    return f"Tests that failed, or {CRASHED}:\n\n" + "\n".join(bad) if bad else ""


def _medians(name: str, cases: list[Figures]) -> str:
    """Return the median seconds per epoch, a line per case."""
    labels = list(dict.fromkeys(label for case in cases for label in case["rows"]))
    if not labels:
        return ""
    rows = (
        [
            case["case"],
            *(_number(case["rows"].get(label, {}), "median_seconds") for label in labels),
        ]
        for case in cases
    )
    return table([f"{name}, s/epoch", *labels], rows)


def _training_row(name: str, run: Figures) -> list[str]:
    seconds = run["epoch_seconds"]
    first = f"{seconds[0]:.4g}" if seconds else UNKNOWN
    about = [str(run[key]) if run[key] is not None else UNKNOWN for key in ("dataset", "epochs")]
    per_epoch, accuracy = _number(run, "seconds_per_epoch"), _number(run, "test_accuracy")
    return [name, *about, per_epoch, first, accuracy, f"{run['wall_seconds']:.1f}"]


def _profile_row(name: str, one: Figures) -> list[str]:
    launches, busy = one.get("kernel_launches"), one.get("kernel_seconds")
    per_step = f"{launches / one['steps']:.1f}" if launches else UNKNOWN
    epoch = one.get("later_epoch_seconds")
    share = f"{100 * busy / sorted(epoch)[len(epoch) // 2]:.0f} %" if busy and epoch else UNKNOWN
    times = [_number(one, key) for key in ("first_epoch_extra_seconds", "microseconds_per_step")]
    return [name, *times, per_step, share, _cell(one.get("how", UNKNOWN))]


def _number(figures: Figures, key: str) -> str:
    value = figures.get(key)
    return UNKNOWN if value is None else f"{value:.4g}"
