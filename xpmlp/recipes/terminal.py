"""What a reproduction says on a terminal: the header, a table per recipe, the last line."""

import shutil

from xpmlp.recipes.report import QUICK, summary, table_cells
from xpmlp.recipes.reproduction import Reproduction
from xpmlp.recipes.running import Outcome
from xpmlp.recipes.tables import text_table

WIDEST = 120
NOT_A_TERMINAL = (110, 24)
VERDICTS = "within: published figure within 3 sd of our mean over seeds; exact: equal to 1e-12"


def header(reproduction: Reproduction) -> str:
    """Return the lines that stand above all recipes."""
    machine = reproduction.machine
    lines = [f"machine   {machine['library']} on {machine['device']} ({machine['device_name']})"]
    lines += [f"note      {QUICK}"] if reproduction.setting.quick else []
    return "\n".join([*lines, f"verdicts  {VERDICTS}", f"reports   {reproduction.folder}"])


def recipe_text(outcome: Outcome) -> str:
    """Return a recipe's table of verdicts under its title."""
    recipe = outcome.recipe
    width = min(shutil.get_terminal_size(NOT_A_TERMINAL).columns, WIDEST)
    table = [text_table(table_cells(outcome.rows), width), ""] if outcome.rows else []
    title = f"{recipe.name}: {recipe.title}"
    counts = f"{summary(outcome)} ({outcome.seconds:,.1f} s)"
    return "\n".join(["", title, recipe.source, "", *table, counts, ""])


def last_lines(reproduction: Reproduction) -> str:
    """Return the counts over all recipes, where there are several, and where to read on."""
    counts = [f"all recipes: {reproduction.summary}"] if len(reproduction.names) > 1 else []
    return "\n".join([*counts, f"read {reproduction.folder / 'report.md'}"])
