"""A table of one's own as a source of training rows: read, typed, and its roles given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xpmlp.data.archives import read_archive
from xpmlp.data.array_targets import array_targets
from xpmlp.data.image_tables import image_table, pixel_scale
from xpmlp.data.images import read_folder
from xpmlp.data.source import Source
from xpmlp.data.svmlight import SUFFIXES, read_svmlight
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.describing import VALUES, ColumnAbout, TableAbout, distinct_of, values_of
from xpmlp.data.tables.labels import Targets, read_labels
from xpmlp.data.tables.raw import RawTable
from xpmlp.data.tables.reading import read_raw
from xpmlp.data.tables.roles import asked_features, choose_features, choose_label
from xpmlp.data.tables.typed import is_constant, typed_columns
from xpmlp.data.wishes import Task, Wishes
from xpmlp.errors import InputError


def load_table(table: Any, wishes: Wishes, seed: int = 0) -> Source:
    """Read a file, or a table of pandas, polars or pyarrow, and take it for what it is.

    Raises InputError, naming file, line and column, for what can't be trained on.
    """
    source = _source(table, wishes, seed)
    pa.default_memory_pool().release_unused()  # its allocator keeps what held the entries as read
    return source


def _source(table: Any, wishes: Wishes, seed: int) -> Source:
    path = Path(table).expanduser() if isinstance(table, str | Path) else None
    if path and path.is_dir():
        _refuse_wishes(path, wishes)
        return read_folder(path, seed)
    if path and path.suffix.lower() == ".npz":
        _refuse_wishes(path, wishes)
        return replace(read_archive(path, wishes.task, wishes.max_unpacked), own=True)
    if path and Path(path.name.lower().removesuffix(".gz")).suffix in SUFFIXES:
        _refuse_wishes(path, wishes)
        return _of_svmlight(path, wishes)
    texts = wishes.task == "classification"  # of which 1.50 is another than 1.5
    raw = read_raw(
        path or table,
        header=wishes.header,
        fractions=not texts,
        max_unpacked=wishes.max_unpacked,
    )
    if len(raw.names) < 2:
        raise InputError(
            f"{raw.origin}: expected at least one feature and a label, got {len(raw.names)} column"
        )
    images = image_table(raw.names)
    if images and images.label is not None and not wishes.name_columns:
        return _of_images(raw, images.label, images.shape, wishes.task)
    return columns_source(raw, wishes)


def _refuse_wishes(path: Path, wishes: Wishes) -> None:
    if wishes.name_columns:
        raise InputError(
            f"{path} has no named columns; label, features, drop and header go with tables"
        )


def _of_svmlight(path: Path, wishes: Wishes) -> Source:
    x, labels, begins = read_svmlight(path, max_unpacked=wishes.max_unpacked)
    targets = array_targets(labels, str(path), wishes.task)
    names = tuple(f"x{i}" for i in range(begins, begins + x.shape[1]))
    counted = "" if begins else f"{path}: its places count from 0"
    return Source(
        str(path),
        targets.task,
        x,
        targets.y,
        targets.class_names,
        feature_names=names,
        own=True,
        note="\n".join(filter(None, [targets.note, counted])),
    )


def _of_images(raw: RawTable, label: int, shape: tuple[int, int], task: Task | None) -> Source:
    """Take the columns of pixels for images."""
    places = [place for place in range(len(raw.names)) if place != label]
    columns = typed_columns(raw, places)
    targets = read_labels(raw, (label,), {}, task)
    x = np.empty((int(targets.keep.sum()), len(places)))
    for i, place in enumerate(places):
        column = columns[place]
        if column.kind != "number" or column.missing.any():
            raise InputError(
                f"{raw.origin}, column {column.name!r}: expected a pixel, a number, in every row"
            )
        x[:, i] = column.values[targets.keep]
    pixels = pixel_scale(float(x.min()), float(x.max()), raw.origin)
    taken = f"{raw.origin}: taken for images, with the label in column {raw.names[label]!r}"
    notes = [*raw.notes, taken, targets.note, pixels.note]
    return Source(
        raw.origin,
        targets.task,
        x,
        targets.y,
        targets.class_names,
        image_shape=shape,
        full_scale=pixels.full_scale,
        own=True,
        label=(raw.names[label],),
        note="\n".join(filter(None, notes)),
    )


def columns_source(raw: RawTable, wishes: Wishes) -> Source:
    """Take a table for what its columns are. Raises InputError for what can't be trained on."""
    last = wishes.label is None and is_constant(raw, len(raw.names) - 1)
    labels, notes = choose_label(raw.names, wishes.label, last)
    candidates = asked_features(raw.names, labels, wishes.drop, wishes.features)
    texts = len(labels) == 1 and wishes.task == "classification"  # whatever stands there
    columns = typed_columns(raw, [*candidates, *(() if texts else labels)], labels)
    features = choose_features(raw, columns, candidates, asked=bool(wishes.features))
    targets = read_labels(raw, labels, columns, wishes.task)
    kept = tuple(columns[place] for place in features.kept)
    assumed = [column.note for column in kept]
    about = _about(raw, columns, features.left_out, labels, targets)
    return Source(
        raw.origin,
        targets.task,
        np.flatnonzero(targets.keep),
        targets.y,
        targets.class_names,
        own=True,
        columns=kept,
        about=about,
        label=about.label,
        note=_lines(raw.origin, *raw.notes, *notes, features.note, targets.note, *assumed),
    )


def _lines(origin: str, *notes: str) -> str:
    """Return notes as lines, each with the name of the table."""
    return "\n".join(
        note if note.startswith(origin) else f"{origin}: {note}" for note in notes if note
    )


def _about(
    raw: RawTable,
    columns: Mapping[int, Column],
    left_out: Mapping[int, str],
    labels: tuple[int, ...],
    targets: Targets,
) -> TableAbout:
    described = []
    for place, name in enumerate(raw.names):
        if place in labels:
            described.append(_label_about(raw, labels, labels.index(place), targets))
        elif place not in columns:
            described.append(ColumnAbout(name, "", 0, 0, "", "left out", "as asked"))
        else:
            column = columns[place]
            role, why = ("left out", left_out[place]) if place in left_out else ("feature", "")
            numbers = int(column.missing.sum()), distinct_of(column), values_of(column)
            described.append(ColumnAbout(name, column.kind, *numbers, role, why))
    names = tuple(raw.names[place] for place in labels)
    header, layout, rows = raw.header, raw.layout, len(raw)
    return TableAbout(raw.origin, layout, header, rows, targets.task, names, 0, tuple(described))


def _label_about(raw: RawTable, labels: tuple[int, ...], i: int, targets: Targets) -> ColumnAbout:
    """Describe the label that is the i-th of several, of the rows that have labels."""
    name, missing = raw.names[labels[i]], raw.columns[labels[i]].null_count
    classes = len(targets.class_names)
    if classes:
        column = Column(name, "category", targets.y, targets.class_names)
        return ColumnAbout(
            name, "class", missing, classes, values_of(column), "label", f"{classes} classes"
        )
    column = Column(name, "number", targets.y[:, i])
    done = "0 or 1" if targets.task == "multilabel" else VALUES
    return ColumnAbout(
        name, "number", missing, distinct_of(column), values_of(column), "label", done
    )
