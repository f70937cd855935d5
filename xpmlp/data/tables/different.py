"""A column by its different texts, each once: what holds of a text holds of all its entries."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xpmlp.data.tables.columns import Column, Kind
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.raw import Place
from xpmlp.errors import InputError


def is_text(kind: pa.DataType) -> bool:
    """Tell whether entries of an Arrow type are texts, or all missing."""
    return kind in (pa.string(), pa.large_string(), pa.string_view(), pa.null())


def is_number(kind: pa.DataType) -> bool:
    """Tell whether entries of an Arrow type are numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Tell whether entries of an Arrow type are dates, with or without a time of day."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


_SHOWN = 40


def to_texts(name: str, values: pa.ChunkedArray, place: Place) -> pa.ChunkedArray:
    """Write all entries of a column as texts, Arrow's `string` or `large_string`.

    Raises InputError, naming the column, for entries such as lists, structs and bytes.
    """
    coded = pa.types.is_dictionary(values.type)
    kind = values.type.value_type if coded else values.type
    if not (is_text(kind) or is_number(kind) or is_date(kind) or pa.types.is_boolean(kind)):
        expected = "texts, numbers, dates or bools"
        raise unclean(name, place(0), str(values.type), expected, "leave the column out")
    if coded:
        parts = [part.dictionary.cast(pa.string()).take(part.indices) for part in values.chunks]
        return pa.chunked_array(parts, pa.string())
    if kind in (pa.string(), pa.large_string()):
        return values
    texts = pc.cast(values, pa.string())
    return pc.utf8_capitalize(texts) if pa.types.is_boolean(kind) else texts


@dataclass(frozen=True)
class Different:
    """The different texts of a column of N entries.

    texts: Arrow, (T,), in the order of their first entries, stripped, none of them missing.
    places: of each entry in `texts`, (N,), int32, -1 where it is missing.
    place: tells where a row, counted from 0, stands.
    """

    name: str
    texts: pa.Array
    places: np.ndarray
    place: Place

    @classmethod
    def of(cls, name: str, values: pa.ChunkedArray, place: Place) -> "Different":
        """Find the different texts of a column of any type that `to_texts` takes."""
        encoded = pc.dictionary_encode(to_texts(name, values, place)).combine_chunks()
        texts, places = encoded.dictionary, _places(encoded)
        stripped = pc.utf8_trim_whitespace(texts)
        missing = pc.is_in(stripped, value_set=pa.array(MISSING, stripped.type))
        cleaned = pc.if_else(missing, None, stripped)
        if not cleaned.equals(texts):
            again = pc.dictionary_encode(cleaned)
            texts, places = again.dictionary, np.append(_places(again), np.int32(-1))[places]
        return cls(name, texts, places, place)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def counts(self) -> np.ndarray:
        """How many entries have each text, (T,)."""
        counts: np.ndarray = np.bincount(self.places[self.places >= 0], minlength=len(self))
        return counts

    def column(self, kind: Kind, values: np.ndarray, **rest: Any) -> Column:
        """Make the column of which `values`, (T,), are those of its texts, NaN where missing."""
        return Column(self.name, kind, np.append(values, np.nan)[self.places], **rest)

    def category(self) -> Column:
        """Make a column of categories, sorted."""
        order = pc.sort_indices(self.texts)
        ranks = np.full(len(self) + 1, -1, np.int32)
        ranks[order.to_numpy()] = np.arange(len(self), dtype=np.int32)
        levels = tuple(self.texts.take(order).to_pylist())
        return Column(self.name, "category", ranks[self.places], levels)

    def category_of(self, levels: tuple[str, ...]) -> Column:
        """Make a column of known categories, -2 for any other text."""
        known = pc.index_in(self.texts, value_set=pa.array(levels, self.texts.type))
        places = pc.fill_null(known, -2).to_numpy(zero_copy_only=False)
        return Column(self.name, "category", np.append(places, np.int32(-1))[self.places], levels)

    def text(self) -> Column:
        """Make a column of texts that are no categories."""
        return Column(self.name, "text", self.places, tuple(self.texts.to_pylist()))

    def first(self, chosen: np.ndarray) -> str:
        """Return the first of those texts that are chosen, (T,), bool."""
        text: str = self.texts[int(np.argmax(chosen))].as_py()
        return text

    def refuse(self, wrong: np.ndarray, expected: str, remedy: str) -> InputError:
        """Return the error for the first entry of those whose texts are `wrong`, (T,), bool."""
        row = int(np.argmax(np.append(wrong, False)[self.places]))
        return unclean(self.name, self.place(row), self.first(wrong), expected, remedy)


def unclean(name: str, place: str, entry: str, expected: str, remedy: str) -> InputError:
    """Return the error for an entry that is not what is expected of its column."""
    shown = entry if len(entry) <= _SHOWN else f"{entry[:_SHOWN]}…"
    return InputError(f"{place}, column {name!r}: expected {expected}, got {shown!r}; {remedy}")


def _places(encoded: Any) -> np.ndarray:
    places: np.ndarray = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return places.astype(np.int32, copy=False)
