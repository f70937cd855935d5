"""The tables of many nets, for a terminal and as a page."""

from bench.members.figures import OURS, Figures
from bench.report import aligned, machine_text
from xpmlp.recipes.tables import markdown_table

HEAD = (
    "way",
    "step, ms",
    "fastest, ms",
    "round, s",
    "first, s",
    "xpmlp numpy takes",
    "goal",
    "loss",
)
MEMORY_HEAD = ("nets", "members", "above the process, MiB", "their arrays, MiB", "times", "goal")
MOST_MEMORY = 1.5
LEGEND = f"""\
A step is one batch of every net. Medians of the rounds, all rows by turns, each in a process of its
own on two cores; fastest: of a step in the fastest round, which other programs on the machine
disturbed least; first: the first round and what comes before it, compilation included. {OURS}
takes: its time over the row's, median of the rounds (quartiles). Every row trains the same nets
from the same weights, each in its own order of rows, and has to end at the same loss, the mean over
all nets."""
OF_MEMORY = """\
The peak of a process that `fit_many` trains the nets in for an epoch, with Adam, less what is in
use before (libraries, rows, compiled steps). Their arrays: weights, two moments, gradients, and the
inputs, hidden units and outputs of one batch, of all nets."""


def table(figures: Figures) -> str:
    """Return the tables for a terminal."""
    lines = []
    for case in figures["cases"]:
        lines += [title(case), *aligned([HEAD, *map(_cells, case["ways"])]), *_reasons(case), ""]
    if figures["memory"]:
        lines += aligned([MEMORY_HEAD, *map(_memory_cells, figures["memory"])])
    return "\n".join(lines or ["nothing was measured"])


def page(figures: Figures) -> str:
    """Return the Markdown page."""
    blocks = [f"# Many nets at once, {figures['finished'][:10]}"]
    for case in figures["cases"]:
        blocks += [f"## {title(case)}", markdown_table([HEAD, *map(_cells, case["ways"])])]
        blocks += _reasons(case)
    if figures["cases"]:
        blocks.append(" ".join(LEGEND.split()))
    if figures["memory"]:
        rows = [MEMORY_HEAD, *map(_memory_cells, figures["memory"])]
        blocks += ["## Memory", markdown_table(rows), " ".join(OF_MEMORY.split())]
    if figures["interrupted"]:
        blocks.append("Interrupted: not all was measured.")
    return "\n\n".join([*blocks, _hardware(figures)]) + "\n"


def title(case: Figures) -> str:
    """Return what a case is, in a line."""
    net = "-".join(map(str, case["sizes"]))
    epochs = case["epochs_a_round"]
    return (
        f"{case['members']} nets {net}, batches of {case['batch_size']}, {case['optimizer']}, "
        f"{case['rows']:,} rows ({case['source']}); a round: {case['steps_a_round']} steps"
        + (f", {epochs} epochs" if epochs > 1 else "")
    )


def _cells(way: Figures) -> list[str]:
    if way["median_seconds"] is None:
        return [way["name"], way["status"], *[""] * (len(HEAD) - 2)]
    first = way["prepare_seconds"] + way["first_rounds"][0]
    loss = "" if way["loss"] is None else f"{way['loss']:.5g}"
    fastest = way["step_milliseconds"] * min(way["round_seconds"]) / way["median_seconds"]
    figures = way["step_milliseconds"], fastest, way["median_seconds"], first
    times = [f"{figure:.3g}" for figure in figures]
    return [way["name"], *times, _share(way), _goal(way), loss]


def _share(way: Figures) -> str:
    if way["name"] == OURS or not way["of_theirs"]:
        return ""
    low, middle, high = (way["of_theirs"][name] for name in ("low", "median", "high"))
    return f"× {middle:.3g} ({low:.3g} to {high:.3g})"


def _goal(way: Figures) -> str:
    if way["goal"] is None or way["goal_met"] is None:
        return ""
    return f"at most × {way['goal']:.3g}: {_told(way['goal_met'])}"


def _told(met: bool) -> str:
    return "met" if met else "missed"


def _reasons(case: Figures) -> list[str]:
    return [f"{way['name']}: {way['reason']}" for way in case["ways"] if way["reason"]]


def _memory_cells(row: Figures) -> list[str]:
    name, members = row["case"], str(row["members"])
    if "failed" in row:
        return [name, members, row["failed"], "", "", ""]
    above, needed = row["peak"] - row["before"], row["needed"]
    met = _told(above <= MOST_MEMORY * needed)
    sizes = [f"{number / 2**20:.0f}" for number in (above, needed)]
    return [name, members, *sizes, f"{above / needed:.2f}", f"at most × {MOST_MEMORY}: {met}"]


def _hardware(figures: Figures) -> str:
    machine = figures["machine"]
    libraries = ", ".join(" ".join(pair) for pair in machine["libraries"].items())
    variables = " ".join("=".join(pair) for pair in figures["environment"].items())
    loads = ", ".join(f"{min(c['load']):.1f} to {max(c['load']):.1f}" for c in figures["cases"])
    return (
        f"{machine_text(machine)}, {figures['threads']} of its processors. {machine['system']}, "
        f"Python {machine['python']}, {libraries}. Commit {machine['commit'] or 'unknown'}. "
        f"Load of the machine, case by case: {loads or 'not measured'}. Variables: {variables}."
    )
