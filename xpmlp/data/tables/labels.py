"""What is learnt: label columns, understood as classes or as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa

from xpmlp.data.rows import Task
from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.different import Different, to_texts, unclean
from xpmlp.data.tables.notation import fits, plain_texts, read_numbers
from xpmlp.data.tables.raw import RawTable
from xpmlp.data.tables.typed import typed_columns, usual_notations
from xpmlp.errors import InputError

_FEW_CLASSES = 10
_MANY_CLASSES = 50
_SLOW_CLASSES = 1_000

Wish = Literal["classification", "regression"]


@dataclass(frozen=True)
class Targets:
    """Label columns, understood, of a table of N rows of which M have labels.

    y: of classification the classes, int64 (M,); of regression the values, of multilabel 0 and
        1, float64 (M, O), a column for each label.
    class_names: of classification, as they are written: numbers by value, texts by letter.
    keep: which rows have labels, bool (N,).
    note: what a person should know, in one line, or "".
    """

    task: Task
    y: np.ndarray
    class_names: tuple[str, ...]
    keep: np.ndarray
    note: str = ""


def read_labels(
    raw: RawTable,
    places: Sequence[int],
    columns: Mapping[int, Column],
    task: Wish | None = None,
) -> Targets:
    """Understand the label columns of a table, known by their places, from 0.

    columns: those that have types already; a label that is not among them gets its type here,
        unless it is the only one, and its entries are classes by `task`, whatever they are.
    task: as asked for. Without it texts are classes, numbers that aren't whole are values, and
        whole ones are classes where at most 50 differ, and from 11 on fewer than half as many
        as the rows; several labels are 0 or 1 each, or values.
    Raises InputError for what can't be learnt, naming the column.
    """
    if len(places) == 1 and task == "classification":
        return _classes(raw, places[0], [])
    here = typed_columns(raw, [place for place in places if place not in columns], labels=places)
    typed = [columns[place] if place in columns else here[place] for place in places]
    for column in typed:
        if column.missing.all():
            raise InputError(f"{raw.origin}, column {column.name!r}: no row has a label")
    notes = [column.note for column in typed]
    if len(typed) > 1:
        return _several(raw, places, typed, task, notes)
    return _one(raw, places[0], typed[0], task, notes)


def _one(raw: RawTable, place: int, column: Column, task: Wish | None, notes: list[str]) -> Targets:
    if column.kind == "date":
        raise _refuse(raw, place, column, "a class or a number", "dates can't be learnt")
    if task == "regression" and column.kind != "number":
        column = _as_numbers(raw, place)
    if column.kind != "number":
        entries = int(np.count_nonzero(~column.missing))
        if len(column.levels) > _MANY_CLASSES and 2 * len(column.levels) > entries:
            raise InputError(
                f"{raw.origin}, column {column.name!r}: {len(column.levels):,} different texts in "
                f"{entries:,} rows, such as {column.levels[0]!r}, are no classes; choose another "
                "label with --label NAME, or insist with --task classification"
            )
        return _classes(raw, place, notes)
    values = column.values[~column.missing]
    if task == "regression" or np.any(values != np.floor(values)):
        return _values(raw, [column], "regression", notes)
    different = len(np.unique(values))
    if different <= _FEW_CLASSES or (different <= _MANY_CLASSES and 2 * different < len(values)):
        return _classes(raw, place, notes)
    taken = f"its {different} different whole numbers are values to fit"
    notes.append(f"label {column.name!r}: {taken}; --task classification makes them classes")
    return _values(raw, [column], "regression", notes)


def _refuse(
    raw: RawTable, place: int, column: Column, expected: str, remedy: str, row: int | None = None
) -> InputError:
    """Return the error for an entry of a label, by default the first that isn't missing."""
    row = int(np.argmax(~column.missing)) if row is None else row
    entry = to_texts(column.name, raw.columns[place].slice(row, 1), raw.place)[0].as_py()
    return unclean(column.name, raw.place(row), entry, expected, remedy)


def _as_numbers(raw: RawTable, place: int) -> Column:
    """Read texts as the numbers that a regression needs."""
    different = Different.of(raw.names[place], raw.columns[place], raw.place)
    values = read_numbers(different.texts, "plain")
    if np.isnan(values).any():
        remedy = "a regression fits numbers; --task classification learns classes"
        raise different.refuse(np.isnan(values), "a number", remedy)
    return different.column("number", values, notation="plain")


def _classes(raw: RawTable, place: int, notes: list[str]) -> Targets:
    different = Different.of(raw.names[place], raw.columns[place], raw.place)
    texts = different.texts.to_pylist()
    if not texts:
        raise InputError(f"{raw.origin}, column {different.name!r}: no row has a label")
    if len(texts) == 1:
        raise InputError(
            f"{raw.origin}: every label is {texts[0]!r}; classification needs at least two classes"
        )
    numbers = _exact(different.texts, usual_notations(raw))
    order = sorted(range(len(texts)), key=lambda i: (numbers[i] if numbers else 0, texts[i]))
    names = tuple(texts[i] for i in order)
    for (i, name), (j, other) in pairwise(zip(order, names, strict=True)):
        if numbers and numbers[i] == numbers[j]:
            pair = f"{name!r} and {other!r} are two classes, though the same number"
            notes.append(f"label {different.name!r}: {pair}")
    ranks = np.empty(len(texts), np.int64)
    ranks[order] = np.arange(len(texts))
    keep = different.places >= 0
    if len(texts) > _SLOW_CLASSES:
        found = f"{len(texts):,} different entries in {np.count_nonzero(keep):,} rows"
        notes.append(
            f"label {different.name!r}: {found}, and the net has an output for each, which takes "
            "long and much memory; --label NAME chooses another"
        )
    return Targets("classification", ranks[different.places[keep]], names, keep, _note(keep, notes))


def _exact(texts: pa.Array, notations: Sequence[str]) -> list[Decimal]:
    """Return the numbers that texts are, to the last digit; none where some are no numbers."""
    plain = plain_texts(texts, next((one for one in notations if fits(texts, one)), "plain"))
    try:
        return [] if plain.null_count else [Decimal(text) for text in plain.to_pylist()]
    except InvalidOperation:
        return []


def _several(
    raw: RawTable,
    places: Sequence[int],
    columns: Sequence[Column],
    task: Wish | None,
    notes: list[str],
) -> Targets:
    choices = True
    for place, column in zip(places, columns, strict=True):
        if column.kind not in ("number", "yes/no"):
            raise _refuse(raw, place, column, "a number", "several labels are 0 or 1, or values")
        other = ~(np.isin(column.values, (0, 1)) | column.missing)
        choices = choices and not other.any()
        if task == "classification" and other.any():
            remedy = "several labels are classes where each is 0 or 1"
            raise _refuse(raw, place, column, "0 or 1", remedy, int(np.argmax(other)))
    multilabel = choices and task != "regression"
    return _values(raw, columns, "multilabel" if multilabel else "regression", notes)


def _values(raw: RawTable, columns: Sequence[Column], task: Task, notes: list[str]) -> Targets:
    y = np.stack([column.values for column in columns], axis=1)
    keep = ~np.isnan(y).any(axis=1)
    if not keep.any():
        raise InputError(f"{raw.origin}: no row has all {len(columns)} labels")
    return Targets(task, y[keep], (), keep, _note(keep, notes))


def _note(keep: np.ndarray, notes: Sequence[str]) -> str:
    without = int(np.count_nonzero(~keep))
    left_out = f"{without} of {len(keep)} rows have no label and are left out" if without else ""
    return "; ".join(note for note in (left_out, *notes) if note)
