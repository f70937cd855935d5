"""How texts are written: what counts as missing, and what are numbers, dates, yes and no.

Every function takes many texts at once, and serves best on the different ones of a column.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN"),
    *("null", "NULL", "Null", "None", "-", "."),
)
_SAMPLE = 100


class Signs(NamedTuple):
    """What a notation writes between thousands, one of these characters, and before decimals."""

    thousands: str
    decimal: str
    example: str


NUMBERS = {
    "plain": Signs("", ".", "1234.5"),
    "thousands comma": Signs(",", ".", "1,234.5"),
    "decimal comma": Signs("", ",", "1234,5"),
    "thousands point": Signs(".", ",", "1.234,5"),
    "thousands blank": Signs(" \u00a0\u202f", ",", "1 234,5"),
    "thousands blank, decimal point": Signs(" \u00a0\u202f", ".", "1 234.5"),
}
DATES = {
    "YYYY-MM-DD": r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})",
    "YYYY/MM/DD": r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    "DD.MM.YYYY": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
    "DD/MM/YYYY": r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})",
    "MM/DD/YYYY": r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
}
_TIME = (
    r"(?:[T ](?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?)?"
    r"(?:Z|(?P<sign>[+-])(?P<zone_hour>\d{2}):?(?P<zone_minute>\d{2}))?)?"
)
_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"))
_LIKE_A_NUMBER = "^[+-]?[0-9.,' \u00a0\u202f]+(?:[eE][+-]?[0-9]+)?$"


def first_few_then_all(texts: Any) -> tuple[Any, ...]:
    """Return the parts of some texts, an Arrow array, at which to look in turn."""
    return (texts.slice(0, _SAMPLE), texts) if len(texts) > _SAMPLE else (texts,)


def all_match(texts: Any, pattern: str) -> bool:
    """Tell whether all of some texts, an Arrow array, match; most that don't show it early."""
    return all(
        pc.all(pc.match_substring_regex(part, pattern), min_count=0).as_py()
        for part in first_few_then_all(texts)
    )


def any_match(texts: Any, pattern: str) -> bool:
    """Tell whether any of some texts, an Arrow array, matches."""
    found: bool = pc.any(pc.match_substring_regex(texts, pattern), min_count=0).as_py()
    return found


def fits(texts: Any, notation: str) -> bool:
    """Tell whether all of some texts are numbers in a notation, and regular ones.

    Regular: where thousands are set apart, they are in every number from 1000, and in one at
    least.
    """
    thousands = NUMBERS[notation].thousands
    regular = all_match(texts, _number_pattern(notation, regular=True))
    return regular and (not thousands or any_match(texts, rf"\d[{thousands}]\d"))


def like_numbers(texts: pa.Array) -> np.ndarray:
    """Tell which texts are numbers in any notation, and some that are in none, (T,), bool."""
    like: np.ndarray = pc.match_substring_regex(texts, _LIKE_A_NUMBER).to_numpy(
        zero_copy_only=False
    )
    return like


def _number_pattern(notation: str, regular: bool = False) -> str:
    thousands, decimal, _ = NUMBERS[notation]
    whole = r"\d{1,3}" if thousands and regular else r"\d+"
    if thousands:
        whole = rf"(?:{whole}|[1-9]\d{{0,2}}(?:[{thousands}]\d{{3}})+)"
    return rf"^[+-]?(?:{whole}(?:[{decimal}]\d*)?|[{decimal}]\d+)(?:[eE][+-]?\d+)?$"


def plain_texts(texts: pa.Array, notation: str) -> pa.Array:
    """Write numbers of a notation plainly, as 1234.5; null for what is no number in it."""
    thousands, decimal, _ = NUMBERS[notation]
    plain = pc.if_else(pc.match_substring_regex(texts, _number_pattern(notation)), texts, None)
    if thousands:
        plain = pc.replace_substring_regex(plain, f"[{thousands}]", "")
    return pc.replace_substring(plain, ",", ".") if decimal == "," else plain


def read_numbers(texts: pa.Array, notation: str) -> np.ndarray:
    """Read texts (T,) as float64 (T,), NaN for what is no finite number in the notation."""
    values: np.ndarray = _floats(plain_texts(texts, notation))
    values[np.isinf(values)] = np.nan
    return values


def _floats(plain: pa.Array) -> np.ndarray:
    values: np.ndarray = pc.cast(plain, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values if values.flags.writeable else values.copy()


def date_pattern(notation: str) -> str:
    """Return a regular expression that all dates of a notation match."""
    return f"^{DATES[notation]}{_TIME}$"


def read_dates(texts: pa.Array, notation: str) -> np.ndarray:
    """Read texts (T,) as days since 1970-01-01, float64 (T,), NaN for what is no such date.

    A time of day may follow (10:30, 10:30:15.25, after a blank or T), and its zone (Z, +01:00).
    """
    if notation == "YYYY-MM-DD":
        try:
            times = pc.cast(texts, pa.timestamp("us"))
        except pa.ArrowInvalid:
            pass
        else:
            return _floats(pc.cast(times, pa.int64())) / 86_400e6
    parts = pc.extract_regex(texts, date_pattern(notation))
    year, month, day, hour, minute, second, zone_hour, zone_minute = (
        _part(parts, name)
        for name in ("year", "month", "day", "hour", "minute", "second", "zone_hour", "zone_minute")
    )
    west = pc.equal(pc.struct_field(parts, "sign"), "-")
    ahead = (zone_hour * 60 + zone_minute) * _floats(pc.if_else(west, -1, 1))
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + np.where(valid, day - 1, 0).astype(np.int64)
    valid &= dates.astype("datetime64[M]") == months
    valid &= (hour < 24) & (minute < 60) & (second < 60)
    days = dates.astype(np.int64) + ((hour * 60 + minute - ahead) * 60 + second) / 86_400
    return np.where(valid, days, np.nan)


def _part(parts: pa.StructArray, name: str) -> np.ndarray:
    """Return a group of digits as numbers, 0 where it is absent, NaN where nothing matched."""
    part = pc.struct_field(parts, name)
    return _floats(pc.if_else(pc.equal(part, ""), "0", part))


def yes_or_no(texts: Sequence[str]) -> tuple[str, str] | None:
    """Return two texts as (no, yes) where they are such a pair, in any case."""
    by_meaning = {text.lower(): text for text in texts}
    for no, yes in _PAIRS:
        if len(texts) == 2 and by_meaning.keys() == {no, yes}:
            return by_meaning[no], by_meaning[yes]
    return None
