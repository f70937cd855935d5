"""Frames of pandas, polars or pyarrow as features beside labels of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from xpmlp.data.array_source import Labels, split_targets
from xpmlp.data.source import Source
from xpmlp.data.tables.raw import RawTable
from xpmlp.data.tables.reading import read_raw
from xpmlp.data.tables.roles import choose_features
from xpmlp.data.tables.typed import typed_columns
from xpmlp.errors import InputError


def frame_source(
    frames: Mapping[str, Any],
    labels: Mapping[str, tuple[np.ndarray, str]],
    origin: str,
    task: str | None = None,
) -> Source:
    """Return the frames of the parts `train`, and where there are some `validation` and `test`.

    labels: of each part, with what they are called. The columns are understood as those of a
    table, the labels as `array_targets` says.

    Raises InputError, naming the column, for what can't be trained on.
    """
    tables = {part: replace(read_raw(frame), origin=origin) for part, frame in frames.items()}
    targets, y = split_targets(
        {part: Labels(*labels[part], len(raw), "x") for part, raw in tables.items()}, origin, task
    )
    raw = _together(list(tables.values()))
    candidates = range(len(raw.names))
    columns = typed_columns(raw, candidates)
    features = choose_features(raw, columns, candidates, asked=False)
    kept = tuple(columns[place] for place in features.kept)
    places = np.split(np.arange(len(raw)), np.cumsum([len(table) for table in tables.values()]))
    rows = {part: (x, y[part]) for part, x in zip(tables, places, strict=False)}
    notes = [*raw.notes, features.note, targets.note, *(column.note for column in kept)]
    return Source(
        origin,
        targets.task,
        *rows["train"],
        targets.class_names,
        validation=rows.get("validation"),
        test=rows.get("test"),
        columns=kept,
        note="\n".join(_named(note, origin) for note in notes if note),
    )


def _together(tables: Sequence[RawTable]) -> RawTable:
    """Return tables with the same columns as one, row under row."""
    first = tables[0]
    for table in tables:
        if table.names != first.names:
            odd = sorted({*table.names} ^ {*first.names}) or list(table.names)
            raise InputError(
                f"{first.origin}: all parts must have the same columns in the same order; look at "
                f"{', '.join(map(repr, odd[:4]))}"
            )
    if len(tables) == 1:
        return first
    try:
        table = pa.concat_tables(
            [pa.table(dict(zip(one.names, one.columns, strict=True))) for one in tables],
            promote_options="permissive",
        )
    except pa.ArrowException as error:
        raise InputError(
            f"{first.origin}: the parts have columns of other types: {error}"
        ) from error
    return replace(first, columns=tuple(table.columns), place=lambda row: f"x, row {row + 1}")


def _named(note: str, origin: str) -> str:
    text = note.removeprefix("the table: ")
    return text if text.startswith(origin) else f"{origin}: {text}"
