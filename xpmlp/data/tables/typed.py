"""From entries to typed columns: by what all entries of a column are, or by a known rule.

Columns of plain numbers are cast at once; any other is read by its different texts.
"""

import shlex
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xpmlp.data.tables.ahead import answers
from xpmlp.data.tables.columns import Column, Kind
from xpmlp.data.tables.different import Different, is_date, is_number, is_text, to_texts, unclean
from xpmlp.data.tables.notation import (
    DATES,
    NUMBERS,
    all_match,
    any_match,
    date_pattern,
    first_few_then_all,
    fits,
    like_numbers,
    read_dates,
    read_numbers,
    yes_or_no,
)
from xpmlp.data.tables.raw import Place, RawTable


def _first(*notations: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*notations, *NUMBERS)))


THOUSANDS_COMMAS = _first("plain", "thousands comma")
DECIMAL_COMMAS = _first("plain", "decimal comma")
THOUSANDS_POINTS = _first("thousands point", "plain", "decimal comma")

_WITH_COMMA = [notation for notation, signs in NUMBERS.items() if signs.decimal == ","]
_WITH_POINT = [notation for notation, signs in NUMBERS.items() if signs.decimal == "."]
_USUAL = {"number": "plain", "date": "YYYY-MM-DD"}  # of columns that were made in Python
_MOSTLY = 0.8
_FEW_NUMBERS = 20
_FEW_TEXTS = 64
_EXACT = 2.0**53
_WORTH_THREADS = 200_000  # entries
_CORRECT = "correct it, or leave it empty if it is missing"
_PER_DAY = {"s": 86_400, "ms": 86_400e3, "us": 86_400e6, "ns": 86_400e9}


def typed_columns(
    raw: RawTable, which: Iterable[int], labels: Collection[int] = ()
) -> dict[int, Column]:
    """Find the types of some columns of a table, each known by its place, from 0.

    labels: those that are labels, which nobody is told to leave out.
    Where commas or points may be read in two ways, the file's separator and its other columns
    decide, also those that are not asked for, and `Column.note` says so.
    Raises InputError as `typed_column` does.
    """

    def read(place: int, notations: tuple[str, ...]) -> Column:
        values, label = raw.columns[place], place in labels
        return typed_column(raw.names[place], values, raw.place, label, notations)

    usual = usual_notations(raw)
    places = list(which)
    spread = answers if len(raw) * len(places) >= _WORTH_THREADS else map
    found = spread(lambda place: read(place, usual), places)
    columns = dict(zip(places, found, strict=True))
    doubtful = [
        place
        for place, column in columns.items()
        if column.kind == "number"
        and (column.note or _may_have_thousands_points(raw.columns[place]))
    ]
    if doubtful and any(map(_has_decimal_commas, raw.columns)):
        columns |= {place: read(place, THOUSANDS_POINTS) for place in doubtful}
    return columns


def usual_notations(raw: RawTable) -> tuple[str, ...]:
    """Return the notations of numbers in a table, those first that its separator makes likely."""
    return DECIMAL_COMMAS if "semicolon" in raw.layout else THOUSANDS_COMMAS


def _may_have_thousands_points(values: pa.ChunkedArray) -> bool:
    return _is_string(values) and fits(values, "thousands point")


def _has_decimal_commas(values: pa.ChunkedArray) -> bool:
    """Tell whether a column, whatever becomes of it, has them for certain."""
    return (
        _is_string(values)
        and any(fits(values, notation) for notation in _WITH_COMMA)
        and not any(fits(values, notation) for notation in _WITH_POINT)
    )


def _is_string(values: pa.ChunkedArray) -> bool:
    return bool(values.type in (pa.string(), pa.large_string()))


def typed_column(
    name: str,
    values: pa.ChunkedArray,
    place: Place,
    label: bool = False,
    notations: tuple[str, ...] = THOUSANDS_COMMAS,
) -> Column:
    """Find a column's type by its entries.

    Numbers, but whole ones with leading zeros or from 2**53 are codes, which are categories;
    two texts that say yes and no; dates; categories; and texts, where more than 64 differ and
    these are more than half as many as the entries. A column without entries is one of numbers.
    values: texts, which are read here, or entries of a type that Arrow knows.
    label: whether it is one, which nobody is told to leave out.
    notations: in which numbers may be written; the first that all entries are in is taken.
    Raises InputError for an entry that is no number in a column of numbers, for dates of which
    nothing tells day from month, and for entries that are no texts, numbers, dates or bools.
    """
    drop = "" if label else f", or leave the column out: --drop {quote(name)}"
    if not is_text(values.type):
        return _of_arrow(name, values, place, _CORRECT + drop)
    texts = to_texts(name, values, place)
    if notations[0] == "plain" or not fits(texts, notations[0]):
        numbers = _cast(texts)
        if numbers is not None and not _are_codes(texts, numbers):
            return Column(name, "number", numbers, notation="plain")
    different = Different.of(name, texts, place)
    if _are_codes(different.texts, read_numbers(different.texts, "plain")):
        return different.category()
    return (
        _number(different, notations, drop)
        or _yes_or_no(different)
        or _date(different, drop)
        or _category(different, notations, drop)
    )


def read_as(
    name: str,
    kind: Kind,
    notation: str,
    levels: tuple[str, ...],
    values: pa.ChunkedArray,
    place: Place,
) -> Column:
    """Read a column as one of the same name was read before.

    kind, notation, levels: of that column; the levels of a category in any order.
    In a category, -2 stands for a text that is none of them.
    Raises InputError for an entry that is no number, no date, or neither yes nor no.
    """
    if kind == "number" and (is_number(values.type) or pa.types.is_boolean(values.type)):
        return Column(name, kind, _finite(name, values, place, _CORRECT), levels, notation)
    if kind == "date" and is_date(values.type):
        return Column(name, kind, _days(values), levels, notation)
    if kind == "yes/no" and pa.types.is_boolean(values.type):
        return Column(name, kind, _floats(values), levels, notation)
    texts = to_texts(name, values, place)
    notation = notation or _USUAL.get(kind, "")
    if kind == "number" and notation == "plain" and (numbers := _cast(texts)) is not None:
        return Column(name, kind, numbers, levels, notation)
    different = Different.of(name, texts, place)
    if kind == "category":
        return different.category_of(levels)
    if kind == "number":
        read, expected = read_numbers(different.texts, notation), _a_number(notation)
    elif kind == "date":
        read, expected = read_dates(different.texts, notation), f"a date as {notation}"
    else:
        read, expected = _of_pair(different.texts, levels), " or ".join(map(repr, levels))
    if np.isnan(read).any():
        raise different.refuse(np.isnan(read), expected, _CORRECT)
    return different.column(kind, read, levels=levels, notation=notation)


def is_constant(raw: RawTable, column: int) -> bool:
    """Tell whether a table's column, by its place, is the same in all rows where it has entries."""
    entries = to_texts(raw.names[column], raw.columns[column], raw.place).drop_null()
    return not len(entries) or bool(pc.all(pc.equal(entries, entries[0])).as_py())


def quote(*names: str) -> str:
    """Write column names as words of a command line."""
    return shlex.join(names)


def _of_arrow(name: str, values: pa.ChunkedArray, place: Place, remedy: str) -> Column:
    """Take the type that a column has; a dictionary's is a category, and so are codes."""
    if pa.types.is_boolean(values.type):
        return Column(name, "yes/no", _floats(values), ("False", "True"))
    if is_date(values.type):
        return Column(name, "date", _days(values), notation="YYYY-MM-DD")
    if is_number(values.type) and not _holds_codes(values):
        return Column(name, "number", _finite(name, values, place, remedy), notation="plain")
    return Different.of(name, values, place).category()


def _holds_codes(values: pa.ChunkedArray) -> bool:
    """Tell whether numbers are whole by their type, and some beyond those that are exact."""
    whole = pa.types.is_decimal(values.type) and values.type.scale <= 0
    if not (whole or pa.types.is_integer(values.type)):
        return False
    ends = pc.min_max(values).as_py().values()
    return any(end is not None and abs(end) >= _EXACT for end in ends)


def _floats(values: pa.ChunkedArray) -> np.ndarray:
    floats: np.ndarray = pc.cast(values, pa.float64(), safe=False).to_numpy()
    return floats


def _finite(name: str, values: pa.ChunkedArray, place: Place, remedy: str) -> np.ndarray:
    floats = _floats(values)
    infinite = np.isinf(floats)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise unclean(name, place(row), str(floats[row]), "a number", remedy)
    missing = np.isnan(floats)
    return np.where(missing, np.nan, floats) if missing.any() else floats  # not NaNs that signal


def _days(values: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_timestamp(values.type):
        return _floats(pc.cast(values, pa.int64())) / _PER_DAY[values.type.unit]
    return _floats(pc.cast(pc.cast(values, pa.date32()), pa.int32()))


def _cast(texts: pa.ChunkedArray) -> np.ndarray | None:
    """Return plain numbers as float64, NaN where they are missing; None if any is no number."""
    for part in first_few_then_all(texts):  # a cast that fails takes 20 times as long
        try:
            values = _floats(part)
        except pa.ArrowInvalid:
            return None
    unknown = np.count_nonzero(np.isnan(values)) - texts.null_count
    return None if unknown or np.isinf(values).any() else values


def _are_codes(texts: Any, values: np.ndarray) -> bool:
    """Tell whether all texts are whole numbers, some not as a float64 would be written.

    values: what the texts are as plain numbers, NaN where they are none.
    """
    if np.any(values > np.floor(values)):
        return False
    padded = any_match(texts.filter(pc.starts_with(texts, "0")), "^0[0-9]")
    return (padded or bool(np.any(np.abs(values) >= _EXACT))) and all_match(texts, "^-?[0-9]+$")


def _number(different: Different, notations: tuple[str, ...], drop: str) -> Column | None:
    found = [notation for notation in notations if fits(different.texts, notation)]
    if not found:
        return None
    values = read_numbers(different.texts, found[0])
    if np.isnan(values).any():
        raise different.refuse(np.isnan(values), _a_number(found[0]), _CORRECT + drop)
    note = ""
    for other in found[1:]:
        doubtful = values != read_numbers(different.texts, other)
        if doubtful.any():
            text, value = different.first(doubtful), values[doubtful][0]
            note = f"column {different.name!r}: {text!r} is read as {value:.15g} ({found[0]})"
    return different.column("number", values, notation=found[0], note=note)


def _a_number(notation: str) -> str:
    return "a number" if notation == "plain" else f"a number such as {NUMBERS[notation].example}"


def _yes_or_no(different: Different) -> Column | None:
    pair = yes_or_no(different.texts.to_pylist()) if len(different) == 2 else None
    if not pair:
        return None
    return different.column("yes/no", _of_pair(different.texts, pair), levels=pair)


def _of_pair(texts: pa.Array, pair: tuple[str, ...]) -> np.ndarray:
    """Read texts (T,) as 0 for the first of a pair and 1 for the second, NaN for any other."""
    lower = pa.array([text.lower() for text in pair], texts.type)
    places = pc.index_in(pc.utf8_lower(texts), value_set=lower)
    values: np.ndarray = pc.cast(places, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _date(different: Different, drop: str) -> Column | None:
    found: dict[str, np.ndarray] = {}
    for notation in DATES:
        if all_match(different.texts, date_pattern(notation)):
            values = read_dates(different.texts, notation)
            if not np.isnan(values).any():
                found[notation] = values
    if not found:
        return None
    (notation, values), *others = found.items()
    for _, other in others:
        if np.any(values != other):
            expected = "a date whose day and month some entry of the column tells apart"
            remedy = f"write dates as 2024-03-31{drop}"
            raise different.refuse(values != other, expected, remedy)
    return different.column("date", values, notation=notation)


def _category(different: Different, notations: tuple[str, ...], drop: str) -> Column:
    note = _of_unclean_numbers(different, notations, drop)
    if len(different) > _FEW_TEXTS and 2 * len(different) > different.counts.sum():
        return different.text()
    return replace(different.category(), note=note)


def _of_unclean_numbers(different: Different, notations: tuple[str, ...], drop: str) -> str:
    """Return a note where nearly all entries are numbers, "" where not.

    Raises InputError where these are no handful of choices.
    """
    counts = different.counts

    def are_most(texts: np.ndarray) -> bool:
        return bool(counts[texts].sum() >= _MOSTLY * counts.sum())

    if not are_most(like_numbers(different.texts)):
        return ""
    for notation in notations:
        values = read_numbers(different.texts, notation)
        clean = ~np.isnan(values)
        found = values[clean]
        many = len(np.unique(found)) > _FEW_NUMBERS or np.any(found != np.floor(found))
        if not are_most(clean) or _are_codes(different.texts.filter(pa.array(clean)), found):
            continue
        if many:
            raise different.refuse(~clean, _a_number(notation), _CORRECT + drop)
        text = different.first(~clean)
        return f"column {different.name!r}: {text!r} is no number, so all entries are categories"
    return ""
