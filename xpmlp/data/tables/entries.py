"""Text entries as a person means them: without blanks around them, null where missing."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xpmlp.data.tables.notation import MISSING

_MISSING = pa.array(MISSING, pa.string())
_NULL = pa.scalar(None, pa.string())


def stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip texts, whose missing entries are null save those with blanks around them."""
    if not _may_have_blanks(column):
        return column
    found = pc.utf8_trim_whitespace(column)
    return column if _size(found) == _size(column) else _with_nulls(found)


def with_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strip texts, and put null for the missing ones."""
    return _with_nulls(pc.utf8_trim_whitespace(column))


def _with_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(column, value_set=_MISSING), _NULL, column)


def _size(column: pa.ChunkedArray) -> int | None:
    """Return the number of bytes of the texts, None where all are null."""
    size: int | None = pc.sum(pc.binary_length(column)).as_py()
    return size


def _may_have_blanks(column: pa.ChunkedArray) -> bool:
    """Look for a blank, a control character or one beyond ASCII; numbers have none of these."""
    texts = (chunk.buffers()[2] for chunk in column.chunks)
    return any((np.frombuffer(text, np.int8) <= ord(" ")).any() for text in texts if text)
