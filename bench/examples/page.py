"""The table of the examples, for a terminal and as a page with the pictures."""

from pathlib import Path
from typing import Any

from bench.examples.differences import OURS, OWN_TIMES, ROUNDING, THEIRS, TOLERANCE
from bench.report import aligned, machine_text
from xpmlp.recipes.tables import markdown_table

Figures = dict[str, Any]
HEAD = (
    "script",
    "outcome",
    "figures",
    "pixels that differ, %",
    "scikit-learn by itself, %",
    "numbers printed",
    "xpmlp s",
    "scikit-learn s",
    "warnings",
)
LEGEND = f"""\
Each script ran twice: as it is, and with the classes imported from xpmlp. pixels that differ: by
more than 8 of 255 in some channel, of the worst figure; up to {100 * TOLERANCE:g} % count as the
same. Where some differ, the script as it is ran again, with rows for scikit-learn's MLP that differ
in their last bit. scikit-learn by itself: the pixels that this changes; up to {OWN_TIMES:g} times
as many are called "{ROUNDING}". numbers printed: seconds left out; where not
all are equal, how far those that differ most are apart, relative to the larger. Seconds are of
the whole script, plots included. warnings: lines on stderr that name one, xpmlp / scikit-learn."""


def table(figures: Figures) -> str:
    """Return the table for a terminal, and the reasons below it."""
    scripts = figures["scripts"]
    lines = aligned([HEAD, *map(cells, scripts)]) if scripts else ["no script has run"]
    return "\n".join([*lines, *_remarks(figures)])


def _remarks(figures: Figures) -> list[str]:
    """Return why scripts did not run or differ."""
    reasons = [
        f"{script['name']}: {script['outcome']}: {script['reason']}"
        for script in figures["scripts"]
        if script["reason"]
    ]
    return [
        *reasons,
        *(["Interrupted: not all scripts have run."] if figures["interrupted"] else []),
    ]


def cells(script: Figures) -> list[str]:
    """Return the row of a script."""
    if "pictures" not in script:
        return [script["name"], script["outcome"], *["–"] * (len(HEAD) - 2)]
    return [
        script["name"],
        script["outcome"],
        str(len(script["pictures"])),
        percent(max(script["differing"], default=0.0)),
        percent(script["own_differing"]),
        numbers_text(script["printed"]),
        *(f"{script['seconds'][side]:.2f}" for side in (OURS, THEIRS)),
        " / ".join(str(script["warnings"][side]) for side in (OURS, THEIRS)),
    ]


def percent(share: float | None) -> str:
    """Return a share in per cent."""
    return "–" if share is None else f"{100 * share:.2g}"


def numbers_text(printed: Figures) -> str:
    """Return how the printed numbers compare."""
    total = printed["numbers"]
    if not printed["same_words"]:
        return "another text"
    if printed["equal"] == total:
        return f"{total} equal" if total else "none"
    return f"{printed['equal']} of {total} equal, {printed['largest_difference']:.2g} apart"


def page(figures: Figures) -> str:
    """Return the Markdown page."""
    scripts = figures["scripts"]
    blocks = [
        f"# Scripts written for scikit-learn's MLP, {figures['finished'][:10]}",
        markdown_table([HEAD, *map(cells, scripts)]) if scripts else "No script has run.",
        *_remarks(figures),
        " ".join(LEGEND.split()),
        _hardware(figures["machine"]),
        *(_details(script) for script in scripts if "pictures" in script),
    ]
    return "\n\n".join(blocks) + "\n"


def _details(script: Figures) -> str:
    blocks = [f"## {script['name']}", "```diff\n" + "\n".join(script["diff"]) + "\n```"]
    blocks += [f"![{Path(name).stem}]({name})" for name in script["pictures"]]
    if lines := script["printed"]["lines"]:
        rows = [("scikit-learn printed", "xpmlp printed"), *lines]
        blocks.append(markdown_table(rows))
    return "\n\n".join(blocks)


def _hardware(machine: Figures) -> str:
    libraries = ", ".join(" ".join(pair) for pair in machine["libraries"].items())
    return (
        f"{machine_text(machine)}. {machine['system']}, Python {machine['python']}, {libraries}. "
        f"Commit {machine['commit'] or 'unknown'}."
    )
