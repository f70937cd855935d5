"""Is the first line of a table a header, and what are its columns called?"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from xpmlp.data.tables.notation import MISSING

_WHOLE = re.compile(r"\d+")
_BEGINS_WITH_DIGIT = re.compile(r"\W*\d")
_LONG_RUN = 8
_SHOWN = 4


class Verdict(NamedTuple):
    """Whether a first line is a header; note: what a person should know where that is a guess."""

    header: bool
    note: str = ""


class Names(NamedTuple):
    """Names of columns, all different; the places, from 0, of those without; notes."""

    names: tuple[str, ...]
    unnamed: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def is_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> Verdict:
    """Judge whether a line is a header by comparing its entries, stripped, with those below.

    Entries vote, and the majority decides. A text votes for a header over numbers; over
    categories it does where it isn't one of them, else for a row. A number votes for a row; but
    where all numbers rise from column to column, they vote for a header if they are unlike what
    stands below, and don't vote if a text stands over numbers. Where nobody wins, a line of
    different texts is a header, any other a row.
    """
    columns = [_column(place, below) for place in range(len(first))]
    votes = [_text_vote(entry, column) for entry, column in zip(first, columns, strict=True)]
    texts = sum(votes)
    named = any(vote > 0 and column.is_number for vote, column in zip(votes, columns, strict=True))
    run = _run(first, columns, below)
    rises = texts >= 0 and run.rises(beside_names=texts > 0)
    names = rises and run.is_unlike(beside_names=texts > 0)
    if names:
        votes += [1] * len(run.entries)
    elif not (rises and named):
        votes += [-1 for column in run.columns if column.is_number]
    yes, no = votes.count(1), votes.count(-1)
    header = yes > no or (yes == no and not run.entries and len({*first}) == len(first))
    may_be_names = names or (len(run.entries) > 1 + run.is_alone and not run.rows_rise)
    guessed = rises and texts == 0 and may_be_names
    clear = max(yes, no) >= max(2 * min(yes, no), 1) and not guessed
    return Verdict(header, "" if clear or not below else _note(first, header=header))


def has_names(first: Sequence[str], known: Sequence[str]) -> bool:
    """Tell whether a line has all the names that are looked for; only numbers must lead it."""
    if not known:
        return False
    leads = [*first[: len(known)]] == [*known]
    return leads or (any(map(_is_text, first)) and {*known} <= {*first})


def speaks_for_itself(first: Sequence[str]) -> bool:
    """Tell whether a line is a row whatever stands below: numbers that don't rise."""
    run = _run(first, [_Column([], [])] * len(first), [])
    return run.is_alone and bool(run.entries) and not run.rises(beside_names=False)


def names_of(header: Sequence[str]) -> Names:
    """Turn the entries of a header into names.

    An empty one becomes `column N`, from 1; one that stands there already gets ` (2)`.
    """
    names: dict[str, None] = {}
    doubled = []
    for place, entry in enumerate(header, start=1):
        wanted = " ".join(entry.split()) or f"column {place}"
        name, count = wanted, 1
        while name in names:
            count += 1
            name = f"{wanted} ({count})"
        if count > 1:
            doubled.append(repr(name))
        names[name] = None
    unnamed = frozenset(place for place, entry in enumerate(header) if not entry.strip())
    notes = (f"names that stand twice are told apart: {_listed(doubled)}",) if doubled else ()
    return Names(tuple(names), unnamed, notes)


def numbered(width: int) -> Names:
    """Return the names of columns that have none: x1, x2, …."""
    return Names(tuple(f"x{place}" for place in range(1, width + 1)))


class _Column(NamedTuple):
    """The entries below one of the first line's, without the missing, and the numbers in them."""

    entries: list[str]
    numbers: list[float]

    @property
    def is_number(self) -> bool:
        return 2 * len(self.numbers) > len(self.entries)

    def is_unlike(self, entry: str) -> bool:
        """Tell whether these are no numbers, or not whole as the entry is."""
        if not self.numbers:
            return bool(self.entries)
        whole = sum(1 for one in self.entries if _WHOLE.fullmatch(one))
        return 2 * whole < len(self.entries) and bool(_WHOLE.fullmatch(entry))

    def is_far(self, value: float) -> bool:
        """Tell whether a number is farther from these than they are from each other."""
        if len(self.numbers) < 2:
            return False
        low, high = min(self.numbers), max(self.numbers)
        return max(low - value, value - high) > high - low


class _Run(NamedTuple):
    """The numbers of the first line, with the columns below and the numbers of each row below.

    is_alone: whether no text stands in the line.
    """

    entries: list[str]
    values: list[float]
    columns: list[_Column]
    rows: list[list[float]]
    is_alone: bool

    def rises(self, *, beside_names: bool) -> bool:
        """Tell whether they may be names: in order, whole unless beside names, not one alone."""
        whole = beside_names or all(map(_WHOLE.fullmatch, self.entries))
        return len(self.values) > self.is_alone and whole and _rises(self.values)

    @property
    def rows_rise(self) -> bool:
        """Tell whether most rows below rise too."""
        return 2 * sum(map(_rises, self.rows)) > len(self.rows)

    def is_unlike(self, *, beside_names: bool) -> bool:
        """Tell whether they differ from what is below.

        Most are of another kind than their columns, or, where three or more or beside names, far
        from these numbers, though the rows don't rise likewise; or they have equal steps, unlike
        the rows.
        """
        may_be_far = (beside_names or len(self.values) > 2) and not self.rows_rise
        unlike = sum(
            column.is_unlike(entry) or (may_be_far and column.is_far(value))
            for entry, value, column in zip(self.entries, self.values, self.columns, strict=True)
        )
        return 2 * unlike > len(self.values) or self._counts()

    def _counts(self) -> bool:
        """Tell whether the steps are equal, of many numbers or beside texts, unlike in the rows."""
        even = sum(map(_has_equal_steps, self.rows))
        enough = len(self.values) >= (_LONG_RUN if self.is_alone else 3)
        return enough and _has_equal_steps(self.values) and 2 * even < len(self.rows)


def _column(place: int, below: Sequence[Sequence[str]]) -> _Column:
    entries = [row[place] for row in below if place < len(row) and not _is_silent(row[place])]
    return _Column(entries, [value for value in map(_number, entries) if value is not None])


def _run(first: Sequence[str], columns: Sequence[_Column], below: Sequence[Sequence[str]]) -> _Run:
    found = [(place, _number(entry)) for place, entry in enumerate(first)]
    values = {place: value for place, value in found if value is not None}
    rows = [[_number(row[place]) for place in values if place < len(row)] for row in below]
    return _Run(
        [first[place] for place in values],
        [*values.values()],
        [columns[place] for place in values],
        [[math.nan if value is None else value for value in row] for row in rows],
        not any(map(_is_text, first)),
    )


def _text_vote(entry: str, column: _Column) -> int:
    """Return 1 where an entry speaks for a header, -1 for a row, 0 for neither, as numbers do."""
    if not _is_text(entry) or not column.entries:
        return 0
    if entry in column.entries:
        return -1
    if column.is_number:
        return 0 if _BEGINS_WITH_DIGIT.match(entry) else 1
    if 2 * len({*column.entries}) <= len(column.entries):
        return 1
    shapes = {*map(_shape, column.entries)}
    if all("9" in shape for shape in shapes):
        return 1 if "9" not in _shape(entry) else -int(_shape(entry) in shapes)
    return 0


def _shape(text: str) -> str:
    """Return a text with 9 for its numbers and a for its words, as 9-9-9 for 2024-05-01."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", text))


def _rises(values: Sequence[float]) -> bool:
    up = all(a < b for a, b in pairwise(values))
    return up or (len(values) > 2 and all(a > b for a, b in pairwise(values)))


def _has_equal_steps(values: Sequence[float]) -> bool:
    if len(values) < 3:
        return False
    steps = [b - a for a, b in pairwise(values)]
    return all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)


def _number(entry: str) -> float | None:
    """Read a number roughly, with a point or comma; only its size matters here."""
    text = entry.replace(",", "." if entry.count(",") == 1 else "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _is_silent(entry: str) -> bool:
    return entry in MISSING or entry.lstrip("+-").lower() in ("inf", "infinity")


def _is_text(entry: str) -> bool:
    return not _is_silent(entry) and _number(entry) is None


def _note(first: Sequence[str], *, header: bool) -> str:
    taken = "the names of the columns" if header else "a row"
    other = "a row: `--header no`" if header else "names: `--header yes`"
    return f"its first line ({_listed(first)}) is taken as {taken}; if it is {other}"


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(text if len(text) <= 20 else f"{text[:20]}…" for text in texts[:_SHOWN])
    return f"{shown}, …" if len(texts) > _SHOWN else shown
