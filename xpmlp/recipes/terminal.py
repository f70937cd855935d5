"""What a reproduction says on a terminal: the header, a table per recipe, the last line."""

import shutil
from textwrap import wrap

from xpmlp.recipes.report import QUICK, summary, table_cells
from xpmlp.recipes.reproduction import Reproduction
from xpmlp.recipes.running import Outcome
from xpmlp.recipes.tables import text_table

WIDEST = 120
NOT_A_TERMINAL = (110, 24)
LABEL = 10
LEGEND = (
    "exact: equal to 1e-12. Seed unknown: ours is mean ± standard deviation (sd) over seeds, "
    "within: up to 3 sd from our mean, outside: beyond. No figure: it holds or fails."
)


def header(reproduction: Reproduction) -> str:
    """Return the lines that stand above all recipes."""
    machine = reproduction.machine
    entries = {
        "machine": f"{machine['library']} on {machine['device']} ({machine['device_name']})",
        "note": QUICK if reproduction.setting.quick else "",
        "verdicts": LEGEND,
        "reports": str(reproduction.folder),
    }
    return "\n".join(_entry(label, text) for label, text in entries.items() if text)


def _entry(label: str, text: str) -> str:
    lines = wrap(text, _width() - LABEL, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"{label if i == 0 else '':<{LABEL}}{line}" for i, line in enumerate(lines))


def recipe_text(outcome: Outcome) -> str:
    """Return a recipe's table of verdicts under its title."""
    recipe = outcome.recipe
    table = [text_table(table_cells(outcome.rows), _width()), ""] if outcome.rows else []
    title = f"{recipe.name}: {recipe.title}"
    counts = f"{summary(outcome)} ({outcome.seconds:,.1f} s)"
    return "\n".join(["", title, recipe.source, "", *table, counts, ""])


def last_lines(reproduction: Reproduction) -> str:
    """Return the counts over all recipes, where there are several, and where to read on."""
    counts = [f"all recipes: {reproduction.summary}"] if len(reproduction.names) > 1 else []
    return "\n".join([*counts, f"read {reproduction.folder / 'report.md'}"])


def _width() -> int:
    return min(shutil.get_terminal_size(NOT_A_TERMINAL).columns, WIDEST)
