"""The table of the estimators, for a terminal and as a page."""

from statistics import median

from bench.estimators.figures import Figures
from bench.estimators.pairs import OWN, SIDES, THEIRS
from bench.estimators.problems import RATES
from bench.report import aligned, count, machine_text
from xpmlp.recipes.tables import markdown_table

HEAD = (
    "data set",
    "rows",
    "net",
    "solver",
    f"{OWN}, %",
    f"{THEIRS}, %",
    "difference, points",
    "epochs",
    f"{OWN} fit s",
    f"{THEIRS} fit s",
    "times as fast",
    "predict ms",
    "times as fast",
)
LEGEND = f"""\
Accuracy on the test rows: mean ± standard deviation over the seeds. difference: {OWN} less
{THEIRS}, in percentage points, with the 95 % interval of the mean of the paired differences (t).
epochs: medians, {OWN} / {THEIRS}. Seconds are medians over the seeds; predict is of all test rows,
{OWN} / {THEIRS}. times as fast: {THEIRS}'s seconds over {OWN}'s, median of the ratios seed by
seed. The two libraries fit one after the other in one process, in turn who is first; one epoch by
each goes before and is not counted."""


def table(figures: Figures) -> str:
    """Return the table for a terminal, and what was left out."""
    rows = [HEAD, *map(_cells, figures["rows"])]
    lines = aligned(rows) if figures["rows"] else ["nothing was measured"]
    return "\n".join([*lines, *_left_out(figures)])


def page(figures: Figures) -> str:
    """Return the Markdown page."""
    rows = [HEAD, *map(_cells, figures["rows"])]
    blocks = [
        f"# The estimators beside scikit-learn's, {figures['finished'][:10]}",
        markdown_table(rows) if figures["rows"] else "Nothing was measured.",
        *_left_out(figures),
        " ".join(LEGEND.split()),
        _settings(figures),
        _hardware(figures),
    ]
    return "\n\n".join(blocks) + "\n"


def _left_out(figures: Figures) -> list[str]:
    lines = [f"{name}: left out: {reason}" for name, reason in figures["left_out"].items()]
    return [*lines, "Interrupted: not all was measured."] if figures["interrupted"] else lines


def _cells(row: Figures) -> list[str]:
    sides = [row["sides"][side] for side in SIDES]
    fast = row["times_as_fast"]
    return [
        row["data_set"],
        " / ".join(f"{number:,}" for number in row["rows"]),
        "-".join(map(str, row["net"])),
        row["solver"],
        *map(_accuracy, sides),
        difference_text(row),
        " / ".join(f"{median(side['epochs']):g}" for side in sides),
        *(f"{side['fit_median']:#.3g}" for side in sides),
        f"{fast['fit_seconds']:.2f}",
        " / ".join(f"{1000 * side['predict_median']:#.3g}" for side in sides),
        f"{fast['predict_seconds']:.2f}",
    ]


def _accuracy(side: Figures) -> str:
    spread = "" if side["accuracy_sd"] is None else f" ± {100 * side['accuracy_sd']:.2f}"
    return f"{100 * side['accuracy_mean']:.2f}{spread}"


def difference_text(row: Figures) -> str:
    """Return the mean difference with its interval, or that there is none in any seed."""
    difference, seeds = row["difference"], len(row["seeds"])
    if difference["same_in"] == seeds:
        return "same in all" if seeds > 1 else "same"
    text = f"{100 * difference['mean']:+.2f}"
    if difference["interval"] is None:
        return text
    low, high = (100 * value for value in difference["interval"])
    return f"{text} ({low:+.2f} to {high:+.2f})"


def _settings(figures: Figures) -> str:
    rates = ", ".join(f"{solver} {rate:g}" for solver, rate in RATES.items())
    seeds = count(figures["seeds"], "seed")
    largest = {row["data_set"]: row["parameters"]["max_iter"] for row in figures["rows"]}
    epochs = ", ".join(f"{name} {number}" for name, number in largest.items())
    return (
        f"{seeds} from 0, {figures['dtype']}; {OWN}: {figures['backend']} on {figures['device']}. "
        f"Learning rates: {rates}; most epochs: {epochs or 'none'}; all else as scikit-learn has "
        "it, the same for both, with the seed as random_state."
    )


def _hardware(figures: Figures) -> str:
    machine = figures["machine"]
    libraries = ", ".join(" ".join(pair) for pair in machine["libraries"].items())
    variables = " ".join("=".join(pair) for pair in figures["environment"].items())
    pools = "; ".join(
        f"{pool['library']} {pool['version'] or ''} {pool['kernel'] or ''}".strip()
        + f", {count(pool['threads'], 'thread')}"
        for pool in figures["thread_pools"]
    )
    gpus = "; ".join(", ".join(gpu.values()) for gpu in machine["gpus"])
    return (
        f"{machine_text(machine)}{'; ' + gpus if gpus else ''}. {machine['system']}, Python "
        f"{machine['python']}, {libraries}. Commit {machine['commit'] or 'unknown'}. "
        f"Pools of threads: {pools or 'unknown'}. Variables: {variables or 'none'}."
    )
