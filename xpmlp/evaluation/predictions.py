"""Predictions as CSV or JSON lines, written as they come."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import numpy as np

    from xpmlp.training.model import Model
    from xpmlp.training.predicting import Predictions

Write = Callable[[int, str | None, list[float]], object]

PROBABLE = ("softmax_cross_entropy", "binary_cross_entropy")


def write_predictions(
    predictions: "Iterable[Predictions]", model: "Model", file_format: str, stream: TextIO
) -> int:
    """Write a record for each row, and flush after each batch; return the number of rows.

    file_format: `csv`, with a header, or `jsonl`. Rows are numbered from 0. A class has its name
    as the label, and a probability for each class, or a score under another loss than a cross
    entropy; a model without classes has values. Numbers are the shortest that give the same
    value in the model's dtype. Nothing is written before the first batch is there.
    """
    write: Write | None = None
    row = 0
    for batch in predictions:
        write = write or FORMATS[file_format](model, stream)
        for label, numbers in zip(_labels(model, batch), _numbers(model, batch), strict=True):
            write(row, label, numbers)
            row += 1
        stream.flush()
    return row


def _labels(model: "Model", batch: "Predictions") -> Iterable[str | None]:
    if batch.classes is None:
        return [None] * len(batch.outputs)
    return [model.class_names[i] for i in batch.classes.tolist()]


def _numbers(model: "Model", batch: "Predictions") -> list[list[float]]:
    """Return a number for each class, or each output; one node of two classes speaks for both."""
    import numpy as np

    outputs = batch.outputs
    if len(model.class_names) == 2 and outputs.shape[1] == 1:
        outputs = np.concatenate([1 - outputs, outputs], axis=1)
    return _shortest(outputs)


def _shortest(values: "np.ndarray") -> list[list[float]]:
    """Return floats whose text is the shortest that gives the values again in their dtype.

    Each text is read by itself: NumPy's cast from texts to numbers swallows a Ctrl-C.
    """
    return [list(map(float, row)) for row in values.astype(str).tolist()]


def _csv(model: "Model", stream: TextIO) -> Write:
    writer = csv.writer(stream, lineterminator="\n")
    kind, names = _kind_and_names(model)
    prefix = {"probabilities": "p", "scores": "score", "values": "value"}[kind]
    lone = kind == "values" and len(names) == 1
    columns = [prefix] if lone else [f"{prefix}_{name}" for name in names]
    writer.writerow(["row", *(["label"] if model.class_names else []), *columns])

    def write(row: int, label: str | None, numbers: list[float]) -> None:
        writer.writerow([row, *([] if label is None else [label]), *numbers])

    return write


def _jsonl(model: "Model", stream: TextIO) -> Write:
    kind, names = _kind_and_names(model)

    def write(row: int, label: str | None, numbers: list[float]) -> None:
        record: dict[str, Any] = {"row": row}
        if label is None:
            record[kind] = numbers
        else:
            record |= {"label": label, kind: dict(zip(names, numbers, strict=True))}
        stream.write(json.dumps(record) + "\n")

    return write


def _kind_and_names(model: "Model") -> tuple[str, Sequence[str]]:
    """Return what the numbers are, and the names of the classes or the counts of the outputs."""
    names = model.class_names or [str(i) for i in range(1, model.sizes[-1] + 1)]
    if model.loss in PROBABLE:
        return "probabilities", names
    return ("scores" if model.class_names else "values"), names


FORMATS: dict[str, Callable[["Model", TextIO], Write]] = {"csv": _csv, "jsonl": _jsonl}
