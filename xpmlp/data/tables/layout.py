"""How a text table separates its columns, judged by its first lines."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from xpmlp.data.tables.notation import MISSING

BLANK = " "
NOTHING = "\x1f"

_SEPARATORS = ("\t", ";", "|", ",", BLANK)
_GOOD_SHARE = 0.8
_SAMPLE = 200
_SAMPLE_BYTES = 1 << 20
_WORDS = {
    "\t": "separated by tabs",
    ";": "separated by semicolons",
    "|": "separated by bars",
    ",": "separated by commas",
    BLANK: "separated by blanks",
    NOTHING: "one column",
}
_NUMBER_WITH_COMMAS = re.compile(r"[+-]?([\d.]*\d,\d+([eE][+-]?\d+)?|\d{1,3}(,\d{3})+(\.\d*)?)")
_WITH_POINT = re.compile(r"[+-]?\d+\.\d+")
_FRACTION = re.compile(r"[+-]?\d+\.\d*[1-9]\d*")
_THREE_DIGITS = re.compile(r"[+-]?\d+\.\d{3}")


class Layout(NamedTuple):
    """The form of a text table.

    separator: one character; BLANK stands for any run of blanks and tabs, NOTHING for one column.
    width: the number of columns that most lines have. first, below: the entries of the first
    lines, stripped.
    """

    separator: str
    width: int
    first: list[str]
    below: list[list[str]]

    @property
    def words(self) -> str:
        """Return the separator in words, as `separated by semicolons`."""
        return _WORDS[self.separator]


def is_content(line: str) -> bool:
    """Tell whether a line is more than blanks or a comment, as which Excel's #N/A doesn't count."""
    stripped = line.strip()
    return bool(stripped) and (not stripped.startswith("#") or stripped.startswith("#N/A"))


def first_lines(head: bytes, *, complete: bool) -> list[str]:
    """Return the first lines that hold something, two at least if there are; only whole ones.

    complete: whether the head is all there is, so that its last line is whole too.
    """
    lines: list[str] = []
    start, end = 0, 0
    while start < len(head) and len(lines) < (_SAMPLE if start < _SAMPLE_BYTES else 2):
        end = head.find(b"\n", start)
        if end < 0 and not complete:
            break
        text = head[start : end if end >= 0 else None].decode(errors="replace")
        lines += [text] if is_content(text) else []
        start = end + 1 if end >= 0 else len(head)
    return lines


def judged(lines: Sequence[str]) -> Layout:
    """Find the separator of lines, one or more.

    It is the one by which most lines agree on a number of columns; where several do equally,
    the one that leaves fewer quotes inside of entries, then the one that gives more columns,
    then the first of tab, semicolon, bar and comma. Commas that only stand inside of numbers
    separate nothing. Blanks do where nothing else does well.
    """
    found = [split for split in (_split(one, lines) for one in _SEPARATORS) if split.agrees]
    if any(split.has_decimal_commas for split in found):
        found = [split for split in found if split.separator != ","]
    best = max(found, key=_quality, default=_split(NOTHING, lines))
    first, *below = best.rows
    return Layout(best.separator, best.width, first, below)


def fraction_columns(layout: Layout) -> frozenset[int]:
    """Return the places of the columns that have nothing but numbers with a point below.

    Such are no names of classes: some have digits behind the point that aren't 0, and these are
    not always three, which may be a point between thousands.
    """
    return frozenset(
        place
        for place in range(layout.width)
        if _are_fractions([row[place] for row in layout.below if place < len(row)])
    )


def _are_fractions(entries: Sequence[str]) -> bool:
    given = [entry for entry in entries if entry not in MISSING]
    return (
        all(map(_WITH_POINT.fullmatch, given))
        and any(map(_FRACTION.fullmatch, given))
        and not all(map(_THREE_DIGITS.fullmatch, given))
    )


def split_rows(rows: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Yield the entries of each row, stripped; those in quotes may have line ends.

    Raises csv.Error for an entry of more than 131,072 characters.
    """
    if separator == BLANK:
        rows = (row.replace("\t", BLANK).strip() for row in rows)
    for row in csv.reader(rows, delimiter=separator, skipinitialspace=True):
        yield [entry.strip() for entry in row]


def _quality(split: "_Split") -> tuple[object, ...]:
    good = split.share >= _GOOD_SHARE
    return good, split.separator != BLANK, split.share, -split.quotes, split.width


class _Split(NamedTuple):
    """Lines split by a separator: the commonest number of columns, and the share that has it."""

    separator: str
    rows: list[list[str]]
    width: int
    share: float

    @property
    def agrees(self) -> bool:
        return self.width > 1 and self.share >= 0.5

    @property
    def quotes(self) -> int:
        """Return how many entries have quotes in them."""
        return sum('"' in entry for row in self.rows for entry in row)

    @property
    def has_decimal_commas(self) -> bool:
        """Tell whether the entries have commas, and all stand as in 1,5 or 1,234,567."""
        if self.separator == ",":
            return False
        entries = [entry for row in self.rows for entry in row if "," in entry]
        return bool(entries) and all(map(_NUMBER_WITH_COMMAS.fullmatch, entries))


def _split(separator: str, lines: Sequence[str]) -> _Split:
    try:
        rows = list(split_rows(lines, separator))
    except csv.Error:
        return _Split(separator, [[]], 0, 0.0)
    (width, count), *_ = Counter(map(len, rows)).most_common(1)
    return _Split(separator, rows, width, count / len(rows))
