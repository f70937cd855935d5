"""What a run says on a terminal and in report.md: the machine, and a table with bars per case."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.results import EAGER, FLOOR, Figures, busy
from bench.start import MOST_EPOCHS

GAP = "  "
BAR_WIDTH = 16
EIGHTHS = " ▏▎▍▌▋▊▉"
HEAD = (
    "",
    "",
    "s/epoch",
    "quartiles",
    "÷ floor",
    "÷ peer",
    "images/s",
    "GFLOP/s",
    "MiB",
    "prepare",
    "warm-up",
)
START_HEAD = ("start", "first epoch", "of it once", "ahead of eager after", "floor's rate")
LEGEND = """\
s/epoch: median seconds of the rounds. ÷ floor: over the time of the matrix products alone, and
÷ peer: over that of the fastest peer (marked *), median of the ratios round by round.
MiB: peak memory of the row's process, or on a GPU of the device. prepare: seconds to import the
library, which all rows of a case do at the same time, and to set up; warm-up: seconds of the
first two epochs, compilation included. A row is invalid where its loss, after all epochs, is not
that of the others, and stopped where no round was completed. A row of bf16 rounds the factors
of large products to bfloat16, and is compared with those in full. On a GPU, of it once: the
first epoch less the median one, which is compilation, loading and capture; ahead of eager after:
so many epochs, the first included but no preparation, take less time than PyTorch's plain loop;
floor's rate: the share of the rate at which the products alone run. Rows of TF32 are compared
with each other."""


def header(figures: Figures) -> str:
    """Return the lines that stand above all cases."""
    machine = figures["machine"]
    lines = {
        "machine": machine_text(machine),
        "vectors": " ".join(machine["cpu_features"]) or "unknown",
        "GPU": "; ".join(", ".join(gpu.values()) for gpu in machine["gpus"]) or "none",
        "system": f"{machine['system']}, Python {machine['python']}",
        "libraries": ", ".join(" ".join(pair) for pair in machine["libraries"].items()),
        "commit": machine["commit"] or "unknown",
        "variables": " ".join("=".join(pair) for pair in figures["environment"].items()),
        "rounds": f"{figures['rounds']}, after two epochs of warm-up{beside(figures)}",
    }
    return "\n".join(f"{name:<11}{text}" for name, text in lines.items())


def machine_text(machine: Figures) -> str:
    """Return processor, number of processors and memory."""
    memory = machine["memory_bytes"]
    size = f", {memory / 2**30:.0f} GiB of memory" if memory else ""
    return f"{machine['cpu']}, {count(machine['processors'], 'processor')}{size}"


def case_text(case: Figures) -> str:
    """Return a case's heading, its table, its speed-ups, and the rows that say why not."""
    timed = [entry for entry in case["entries"] if entry["seconds"]]
    parts = [f"{title_of(case)}, {kernels_text(case)}"]
    if timed:
        longest = max(entry["seconds"]["median"] for entry in timed)
        cells = [_cells(entry, longest) for entry in timed]
        parts += ["", *aligned([HEAD, *cells])]
    if table := list(_speed_ups(timed)):
        parts += ["", *aligned(table)]
    if table := list(_starts(timed)):
        parts += ["", *aligned(table)]
    refusals = [
        f"{label_of(entry)}: {entry['status']}: {entry['reason']}"
        for entry in case["entries"]
        if entry["status"] != "ok"
    ]
    return "\n".join([*parts, *([""] if refusals else []), *refusals])


def title_of(case: Figures) -> str:
    """Return what was trained, and on which rows."""
    return (
        f"{case['case']}: {case['activation']}, {case['optimizer']} at rate "
        f"{case['learning_rate']:g}, {case['rows']:,} rows of {case['data']}"
        f"{beside(case)}"
    )


def beside(figures: Figures) -> str:
    """Return `, beside 2 busy processes`, nothing where a run or a case had the machine alone."""
    number = busy(figures)
    return f", beside {number:,} busy process{'es' * (number != 1)}" if number else ""


def kernels_text(case: Figures) -> str:
    """Return the BLAS of the rows and its kernels, and whether these are as they were found."""
    pools = [pool for entry in case["entries"] for pool in entry["about"].get("thread_pools", ())]
    blas = next((pool for pool in pools if pool["kernel"]), None)
    if blas is None:
        return f"kernels {case['kernels']}"
    library = blas["library"].replace("openblas", "OpenBLAS")
    how = "" if blas["kernel"] == case["kernels"] else f" ({case['kernels']})"
    return f"{library} {blas['version']} with {blas['kernel']} kernels{how}"


def label_of(entry: Figures) -> str:
    """Return the name of a row, with its device unless that is the CPU."""
    return str(entry["name"] if entry["device"] == "cpu" else f"{entry['name']}, {entry['device']}")


def _cells(entry: Figures, longest: float) -> list[str]:
    seconds = entry["seconds"]
    peak = entry["peak_memory_bytes"]
    star = "*" if entry["is_fastest_peer"] else " "
    return [
        label_of(entry),
        bar(seconds["median"] / longest),
        f"{seconds['median']:.4f}",
        f"{seconds['low']:.4f}–{seconds['high']:.4f}",
        ratio_text(entry["to_floor"]),
        ratio_text(entry["to_fastest_peer"]) + star,
        f"{entry['images_per_second']:,.0f}",
        f"{entry['gflops']:,.0f}",
        f"{peak / 2**20:,.0f}" if peak else "–",
        f"{entry['prepare_seconds']:.2f}",
        f"{entry['warm_up_seconds']:.2f}",
    ]


def _speed_ups(timed: Sequence[Figures]) -> Iterator[list[str]]:
    """Yield the rows of a table: how many times as fast each xpmlp row is as each peer."""
    own = [entry for entry in timed if entry["speed_up"]]
    peers = list(dict.fromkeys(name for entry in own for name in entry["speed_up"]))
    if own:
        yield ["times as fast as", *peers]
    for entry in own:
        yield [
            label_of(entry),
            *(ratio_text(entry["speed_up"].get(name)) for name in peers),
        ]


def _starts(timed: Sequence[Figures]) -> Iterator[list[str]]:
    """Yield the rows of a table of starts on a GPU; a CPU, and results of old, have none."""
    started = [e for e in timed if e["device"] != "cpu" and e.get("start") and e["first_epochs"]]
    if started:
        yield list(START_HEAD)
    for entry in started:
        start, floor = entry["start"], entry["to_floor"]
        yield [
            label_of(entry),
            f"{entry['first_epochs'][0]:.3f}",
            f"{start['extra_seconds']:.3f}",
            _ahead_text(entry, timed),
            f"{100 / floor['median']:.0f} %" if floor else "–",
        ]


def _ahead_text(entry: Figures, timed: Sequence[Figures]) -> str:
    measured = any(e["name"] == EAGER and e["device"] == entry["device"] for e in timed)
    if entry["name"] == EAGER or entry["role"] == FLOOR or not measured:
        return "–"
    epochs = entry["start"]["ahead_of_eager_after"]
    return f"never in {MOST_EPOCHS}" if epochs is None else count(epochs, "epoch")


def ratio_text(spread: dict[str, float] | None) -> str:
    """Return the median of a ratio, to two decimals."""
    return f"{spread['median']:.2f}" if spread else "–"


def bar(share: float) -> str:
    """Return a bar for a share of one, in eighths of a character."""
    eighths = max(1, round(share * BAR_WIDTH * 8))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(BAR_WIDTH)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of columns, the first aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def count(number: int, noun: str) -> str:
    """Return `1 processor`, `2 processors`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def summary(figures: Figures) -> str:
    """Return a Markdown table of median seconds per epoch, a line per case, the fastest bold."""
    cases = figures["cases"]
    labels = list(dict.fromkeys(label_of(e) for c in cases for e in c["entries"] if e["seconds"]))
    several = len({case["kernels"] for case in cases}) > 1
    lines = [["case", *labels], ["---"] * (1 + len(labels))]
    for case in cases:
        name = f"{case['case']}, {case['activation']}, {case['optimizer']}"
        timed = [e for e in case["entries"] if e["seconds"]]
        times = {label_of(e): e["seconds"]["median"] for e in timed}
        first = min((times[label_of(e)] for e in timed if e["role"] != FLOOR), default=0.0)
        cells = [_seconds(times.get(label), first) for label in labels]
        lines.append([f"{name}, {kernels_text(case)}" if several else name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(median: float | None, first: float) -> str:
    if median is None:
        return "–"
    return f"**{median:#.3g}**" if median == first else f"{median:#.3g}"


def markdown(figures: Figures, pictures: Sequence[Any]) -> str:
    """Return the page of a run: the machine, the tables as on the terminal, the pictures."""
    title = f"# Seconds per epoch{beside(figures)}, {figures['finished'][:10]}"
    images = [f"![{path.stem}]({path.name})" for path in pictures]
    blocks = [header(figures), *map(case_text, figures["cases"])]
    texts = [f"```text\n{text}\n```" for text in blocks]
    return "\n\n".join([title, *images, summary(figures), *texts, LEGEND]) + "\n"
