"""What a table was taken for: column by column, as a line, a table and figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from xpmlp.data.tables.columns import Column

if TYPE_CHECKING:
    from xpmlp.data.tables.rules import ColumnRule

TITLES = ("column", "type", "missing", "distinct", "values", "role", "what is done")
VALUES, STANDARDISED = "values", "values, standardised inside the net but for Poisson"
_WIDEST = 44
_SCALED = {
    "none": "as it is",
    "center": "minus the mean",
    "unit": "between 0 and 1",
    "standard": "standardised",
    "robust": "by median and quartiles",
    "quantile": "by rank",
    "auto": "standardised",
}
_COMMONEST = 3


@dataclass(frozen=True)
class ColumnAbout:
    """One column: its type, how many entries are missing and differ, its range or commonest
    texts, its role (`feature`, `label` or `left out`), and what is done with it or why not."""

    name: str
    type: str
    missing: int
    distinct: int
    values: str
    role: str
    done: str

    def cells(self) -> list[str]:
        """Return its line of the table with the heading TITLES."""
        missing = f"{self.missing:,}" if self.missing else ""
        about = self.type, missing, f"{self.distinct:,}", _short(self.values), self.role, self.done
        return [_short(self.name), *about]


@dataclass(frozen=True)
class TableAbout:
    """A table as it was understood.

    origin: the file. layout: its form, in words. header: whether it names its columns. rows: how
    many there are. task: what is learnt. inputs: how many numbers the net takes.
    """

    origin: str
    layout: str
    header: bool
    rows: int
    task: str
    label: tuple[str, ...]
    inputs: int
    columns: tuple[ColumnAbout, ...]

    def form(self) -> str:
        """Return what the file looks like."""
        names = "" if self.header else "without names"
        parts = ", ".join(filter(None, (f"{self.rows:,} rows", self.layout, names)))
        return f"{self.origin}: {parts}"

    def line(self) -> str:
        """Return the line for the header of a run."""
        features = [column for column in self.columns if column.role == "feature"]
        kinds: dict[str, int] = {}
        for column in features:
            kinds[column.type] = kinds.get(column.type, 0) + 1
        parts = [_counted(number, kind) for kind, number in kinds.items()]
        gaps = sum(column.missing > 0 for column in features)
        out = [column.name for column in self.columns if column.role == "left out"]
        label = ", ".join(map(repr, self.label[:4])) + ", …" * (len(self.label) > 4)
        last = ", the last column" * (self.label == (self.columns[-1].name,))
        words = [f"label {label}{last} ({self.task})", f"from {', '.join(parts)}"]
        words += [f"{gaps} of them with missing entries"] * bool(gaps)
        words += [f"without {_few(out)}"] * bool(out)
        return ", ".join(words)

    def wishes(self) -> dict[str, Any]:
        """Return the options under which the table is taken for the same again."""
        return {
            "label": self._label_wish(),
            "task": self.task if self.task in ("classification", "regression") else None,
            "drop": tuple(column.name for column in self.columns if column.role == "left out"),
            "header": "yes" if self.header else "no",
        }

    def _label_wish(self) -> str:
        """Return the labels as `--label` takes them: by number where names have commas."""
        names = [column.name for column in self.columns]
        if len(self.label) > 1 and any("," in name for name in names):
            return ",".join(str(names.index(name) + 1) for name in self.label)
        return ",".join(self.label)

    def figures(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return all of it as lines for people."""
        rows = [TITLES, *(column.cells() for column in self.columns)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(TITLES))]
        right = {2, 3}
        lines = [
            "  ".join(
                cell.rjust(width) if i in right else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([self.form(), self.line(), "", *lines])


def with_rules(
    about: TableAbout,
    rules: "Sequence[ColumnRule]",
    scale: str,
    are_ranked: np.ndarray,
) -> TableAbout:
    """Return it with what is done with each feature, and how many numbers come of them all.

    are_ranked: which columns of the matrix are scaled by their ranks, (D,).
    """
    places = accumulate((len(rule.names) for rule in rules), initial=0)
    done = {
        rule.name: _treatment(rule, "quantile" if are_ranked[place] else scale)
        for rule, place in zip(rules, places, strict=False)
    }
    if scale != "none":
        done |= {c.name: STANDARDISED for c in about.columns if c.done == VALUES}
    columns = tuple(replace(c, done=done.get(c.name, c.done)) for c in about.columns)
    return replace(about, columns=columns, inputs=sum(len(rule.names) for rule in rules))


def _treatment(rule: "ColumnRule", scale: str) -> str:
    parts = [_SCALED[scale]]
    if rule.kind == "yes/no":
        parts = [f"{rule.levels[0]} 0, {rule.levels[1]} 1"]
    elif rule.kind == "category":
        parts = [f"a column each for {rule.kept} texts"]
        parts += [f"one for {len(rule.levels) - rule.kept} rare ones"] * rule.rare
    elif rule.kind == "date":
        parts = [f"days since 1970, {parts[0]}"]
    if rule.missing and rule.kind == "category":
        parts.append("one for missing")
    elif rule.missing:
        parts.append(f"missing: {rule.fill:.6g}, and a column that says so")
    return ", ".join(parts)


def distinct_of(column: Column) -> int:
    """Return how many different entries there are, the missing not counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return int(pc.count_distinct(pa.array(column.values[~column.missing])).as_py())


def values_of(column: Column) -> str:
    """Return the range of numbers and dates, or the commonest texts with their shares."""
    there = column.values[~column.missing]
    if not len(there):
        return ""
    if column.kind in ("category", "yes/no"):
        return _commonest(there.astype(np.int64), column.levels)
    low, high = float(there.min()), float(there.max())
    if column.kind == "date":
        return f"{_date(low)} to {_date(high)}"
    return f"{low:.6g} to {high:.6g}" if low != high else f"{low:.6g}"


def _commonest(places: np.ndarray, levels: Sequence[str]) -> str:
    counts = np.bincount(places[places >= 0], minlength=len(levels))
    first = np.argsort(-counts, kind="stable")[:_COMMONEST]
    shares = [f"{_short(levels[i], 16)} {counts[i] / len(places):.0%}" for i in first if counts[i]]
    return ", ".join(shares) + ", …" * (len(levels) > _COMMONEST)


def _date(days: float) -> str:
    return str(np.datetime64(round(days * 86_400), "s")).removesuffix("T00:00:00").replace("T", " ")


def _counted(number: int, kind: str) -> str:
    plural = {"category": "categories", "yes/no": "yes/no"}
    return f"{number} {kind if number == 1 else plural.get(kind, f'{kind}s')}"


def _few(names: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(repr(_short(name)) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _short(text: str, most: int = _WIDEST) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
