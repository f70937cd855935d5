"""Text tables: their lines, split into fields."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from xpmlp.errors import InputError

ENCODING = "utf-8-sig"
_SEPARATORS = ",;\t"


class Line(NamedTuple):
    """The fields of one line of a text file, and its number, from 1."""

    number: int
    fields: list[str]


def split_lines(texts: Iterable[str], name: str, whole: Sequence[str] = ()) -> Iterator[Line]:
    """Yield the lines that hold something, split into stripped fields.

    The separator is the comma, semicolon or tab that the first line has most of, else blanks;
    a line without separator that stands in `whole` is one field. Lines that start with # are
    skipped. Raises InputError for quotes that don't close.
    """
    texts = ("" if text.lstrip().startswith("#") else text for text in texts)
    skipped, first = next(((n, text) for n, text in enumerate(texts) if text.strip()), (0, ""))
    separator = max(_SEPARATORS, key=first.count)
    if separator not in first:
        for number, text in enumerate(chain([first], texts), start=skipped + 1):
            if stripped := text.strip():
                yield Line(number, [stripped] if stripped in whole else stripped.split())
        return
    reader = csv.reader(
        chain([first], texts), delimiter=separator, skipinitialspace=True, strict=True
    )
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield Line(skipped + reader.line_num, fields)
    except csv.Error as error:
        raise InputError(f"{name}, line {skipped + reader.line_num}: {error}") from error


def is_number(field: str) -> bool:
    """Tell whether a field is a number; Python's underscores are none."""
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field
