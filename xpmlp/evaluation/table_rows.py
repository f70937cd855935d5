"""The rows of a table that a trained net is evaluated on, by the rules of its training."""

from pathlib import Path

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.source import Source
from xpmlp.data.splits import split
from xpmlp.data.tables.known import label_places, read_classes, read_known, read_values
from xpmlp.data.tables.matching import match
from xpmlp.data.tables.reading import read_raw
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.inputs import known_of
from xpmlp.training.model import Model


def rows_of_table(model: Model, path: Path, part: str | None, config: Config) -> Dataset:
    """Return a table's rows as the model takes them, split where a part is asked for, else all.

    Every part of the data set is that part. Raises InputError for columns or labels that are not
    the model's, and where no row has a label.
    """
    known = known_of(model)
    raw = read_raw(path, known=known.columns.names, max_unpacked=config.max_unpacked)
    order, notes = match(raw, known.columns, model.label, labelled=True)
    columns = read_known(raw, order, known)
    labels = label_places(raw, order, model.label)
    if model.class_names:
        y, keep = read_classes(raw, labels[0], model.class_names)
    else:
        y, keep = read_values(raw, labels, notes.append)
    if not len(y):
        raise InputError(f"{raw.origin}: no row has a label")
    if not keep.all():
        notes.append(f"{raw.origin}: {int((~keep).sum()):,} rows have no label and are left out")
    chosen = np.flatnonzero(keep)
    if part:
        source = Source(raw.origin, model.task, chosen, y)
        parts = split(source, config.validation, config.data_seed)
        chosen, y = dict(zip(("train", "validation", "test"), parts, strict=True))[part]
    x = model.prepare(columns)[chosen]
    if not np.isfinite(x).all():
        raise InputError(f"{raw.origin} has features too large for {x.dtype}")
    rows = Rows(x, y)
    return Dataset(
        raw.origin,
        model.task,
        rows,
        rows,
        rows,
        class_names=model.class_names,
        feature_names=model.feature_names,
        image_shape=model.image_shape,
        scale=model.scale,
        scaling=model.scaling,
        columns=model.columns,
        label=model.label,
        target=model.target,
        note="\n".join(notes),
    )
