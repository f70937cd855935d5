"""The reports of a reproduction as Markdown: of one recipe, of all, and a page of verdicts."""

import re
from collections.abc import Iterable, Iterator, Sequence

from xpmlp.recipes.numbers import figure_text
from xpmlp.recipes.reproduction import Reproduction, now, versions
from xpmlp.recipes.running import Outcome, Plan
from xpmlp.recipes.tables import escape, markdown_table
from xpmlp.recipes.verdicts import Row, count_text
from xpmlp.training.texts import named_seeds

PICTURE = "verdicts.png"
HEAD = ("quantity", "published", "ours", "verdict")
TITLE = "Published experiments, reproduced"
QUICK = "quick reproduction: smaller trainings, so published figures are not judged"
LEGEND = """\
How to read the tables: *ours* of a published figure is mean ± standard deviation (sd) over the
seeds (lowest to highest). *exact*: equal within 1e-12 relative. *within*: the published figure,
whose seed is unknown, lies within 3 sd of our mean; *outside*: it does not, and a property that
holds may explain it. *holds* or *fails*: a property that was published without a figure; a figure
that should be exact *fails* too."""


def recipe_report(outcome: Outcome, reproduction: Reproduction) -> str:
    """Return the report of one recipe, which stands in the folder of its pictures."""
    recipe = outcome.recipe
    return _join(
        [
            *_top(recipe.title, reproduction),
            *_verdicts(outcome),
            LEGEND,
            *_experiment(outcome, level=2, pictures_in=""),
            "## How this was made",
            _made(reproduction, [recipe.name]),
        ]
    )


def full_report(reproduction: Reproduction) -> str:
    """Return one report with all recipes; pictures are in the recipes' folders."""
    blocks = [
        *_top(TITLE, reproduction),
        f"**{reproduction.summary}**",
        markdown_table([("recipe", "verdicts", "seconds"), *_overview(reproduction)]),
        *_picture_of_all(reproduction),
        LEGEND,
        _made(reproduction, reproduction.names),
    ]
    for outcome in reproduction.outcomes:
        blocks.append(f"## {escape(outcome.recipe.title)}")
        blocks += _verdicts(outcome)
        blocks += _experiment(outcome, level=3, pictures_in=f"{outcome.recipe.name}/")
    return _join(blocks)


def verdict_page(reproduction: Reproduction) -> str:
    """Return one page with every verdict, the counts on top."""
    blocks = [
        *_top(f"{TITLE}: the verdicts", reproduction),
        f"**{reproduction.summary}**",
        *_picture_of_all(reproduction),
    ]
    for outcome in reproduction.outcomes:
        blocks.append(f"## {escape(outcome.recipe.title)}")
        blocks.append(f"{_link(outcome)}: {escape(summary(outcome))}")
        blocks += [verdict_table(outcome.rows)] if outcome.rows else []
    return _join([*blocks, LEGEND, _made(reproduction, reproduction.names)])


def table_cells(rows: Iterable[Row]) -> list[Sequence[str]]:
    """Return the table of verdicts, its head first."""
    return [HEAD, *(_cells(row) for row in rows)]


def verdict_table(rows: Iterable[Row]) -> str:
    """Return the table of verdicts as Markdown."""
    return markdown_table(table_cells(rows))


def summary(outcome: Outcome) -> str:
    """Return the counts of a recipe's verdicts, or why there are none."""
    if outcome.failure:
        reason = "not run" if outcome.needs_input else "failed"
        return f"{reason}: {outcome.failure}"
    return count_text(outcome.rows)


def _cells(row: Row) -> Sequence[str]:
    published = "–" if row.published is None else figure_text(row.published)
    return row.quantity, published, row.ours, row.verdict_text


def _top(title: str, reproduction: Reproduction) -> Iterator[str]:
    if reproduction.setting.quick:
        yield f"# {escape(title)} (quick)"
        yield f"> This is a {QUICK}."
    else:
        yield f"# {escape(title)}"


def _verdicts(outcome: Outcome) -> Iterator[str]:
    recipe = outcome.recipe
    yield f"`{recipe.name}`, from {escape(recipe.source)}"
    yield f"**{escape(summary(outcome))}**"
    if outcome.rows:
        yield verdict_table(outcome.rows)


def _experiment(outcome: Outcome, level: int, pictures_in: str) -> Iterator[str]:
    """Yield what was done, pictures and tables under headings of a level."""
    heading = "#" * level
    yield f"{heading} The experiment"
    yield nested(outcome.recipe.about.strip(), level + 1)
    if outcome.failure:
        return
    if outcome.plans:
        yield f"Trained, in {outcome.seconds:,.1f} s with checks and pictures:"
        yield "\n".join(_plan_line(name, plan) for name, plan in outcome.plans.items())
    drawing = outcome.drawing
    if drawing.pictures or drawing.problems:
        yield f"{heading} Pictures"
    for picture in drawing.pictures:
        yield f"![{picture.name}]({pictures_in}{picture.name}.png)"
        yield picture.caption
    yield from (escape(f"{problem}.") for problem in drawing.problems)
    if outcome.tables:
        yield f"{heading} Tables"
    for title, text in outcome.tables:
        yield f"{escape(title)}:"
        yield f"```text\n{text.rstrip()}\n```"


def nested(text: str, level: int) -> str:
    """Return Markdown with its headings moved so that the topmost has this level."""
    lines, outside = text.splitlines(), True
    headings = {}
    for i, line in enumerate(lines):
        outside ^= line.lstrip().startswith("```")
        if outside and (found := re.match(r"(#+) ", line)):
            headings[i] = len(found[1])
    shift = level - min(headings.values(), default=level)
    for i, depth in headings.items():
        lines[i] = "#" * (depth + shift) + lines[i][depth:]
    return "\n".join(lines)


def _plan_line(name: str, plan: Plan) -> str:
    if plan.missing:
        return f"- {name}: not run: {escape(plan.missing)}"
    seeds = f"seed{'s' * (len(plan.seeds) > 1)} {named_seeds(plan.seeds)}"
    return f"- {name}: {plan.size}, {seeds}, {plan.dtype}; {escape(plan.rows)}"


def _overview(reproduction: Reproduction) -> Iterator[Sequence[str]]:
    for outcome in reproduction.outcomes:
        yield _link(outcome), summary(outcome), f"{outcome.seconds:,.1f}"
    for name in reproduction.waiting:
        yield name, "not run", ""


def _link(outcome: Outcome) -> str:
    """Return a recipe's name, as a link where it has a report of its own."""
    name = outcome.recipe.name
    return name if outcome.failure else f"[{name}]({name}/report.md)"


def _picture_of_all(reproduction: Reproduction) -> Iterator[str]:
    if reproduction.has_picture:
        yield f"![published figures and ours]({PICTURE})"
        yield "Every published figure whose seed is unknown, beside ours."


def _made(reproduction: Reproduction, names: Sequence[str]) -> str:
    machine = reproduction.machine
    libraries = ", ".join(f"{name} {number}" for name, number in versions().items())
    reason = reproduction.selection.fallback_reason
    fallback = f" (no CUDA: {escape(reason)})" if reason else ""
    return (
        f"Made by `{reproduction.command(names)}` on {now()} with {machine['library']} on "
        f"{machine['device']} ({machine['device_name']}){fallback}; {libraries}."
    )


def _join(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"
