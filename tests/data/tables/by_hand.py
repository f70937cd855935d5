"""Tables and columns made by hand, as a reader hands them over."""

import pyarrow as pa
import pytest

from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.raw import RawTable
from xpmlp.errors import InputError


def line(row):
    return f"t.csv, line {row + 2}"


def texts(entries):
    """A column of a text file: missing entries are null."""
    missing = [None if entry is None or entry in MISSING else entry for entry in entries]
    return pa.chunked_array([pa.array(missing, pa.string())])


def table(columns, unnamed=(), layout="separated by commas"):
    """A text file with a header: its columns by name, each a list of texts or an Arrow array."""
    arrow = [
        pa.chunked_array([values]) if isinstance(values, pa.Array) else texts(values)
        for values in columns.values()
    ]
    names = tuple(columns)
    return RawTable("t.csv", names, tuple(arrow), frozenset(unnamed), True, layout, (), line)


def refused(do, *words):
    """Return the one line with which something is refused, which has these words."""
    with pytest.raises(InputError) as caught:
        do()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message
