"""The rows that a trained net is evaluated on: its own, or others in its scaling and classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xpmlp.data.blocks import are_telling
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.registry import dataset_names, load_dataset
from xpmlp.data.tables.endings import is_table
from xpmlp.data.wishes import Task as WishedTask
from xpmlp.data.wishes import Wishes
from xpmlp.errors import InputError, unknown_name
from xpmlp.training.config import Config
from xpmlp.training.inputs import TWICE
from xpmlp.training.model import Model
from xpmlp.training.scaled_already import seem_scaled
from xpmlp.training.scoring import check_inputs
from xpmlp.training.texts import count

PARTS = ("test", "validation", "train")
LISTED = 12


class EvaluationRows(NamedTuple):
    """Rows that a model takes, scaled by its own scaling, with its classes as their labels.

    data: what they are part of. part: `test`, `validation` or `train`, or `all` for a whole file.
    """

    data: Dataset
    rows: Rows
    part: str

    @property
    def kind(self) -> str:
        """What texts call the rows: `test`, `validation`, `training`, or nothing."""
        return {"train": "training", "all": ""}.get(self.part, self.part)

    @property
    def title(self) -> str:
        """`mnist: 10,000 test rows`."""
        return f"{self.data.name}: {count(len(self.rows), f'{self.kind} row'.strip())}"


def part_of(data: Dataset, part: str | None = None) -> EvaluationRows:
    """Return a part of a data set as it is, by default its test rows.

    Raises InputError where there are no such rows.
    """
    part = part or "test"
    if part not in PARTS:
        raise unknown_name("part", part, PARTS)
    rows: Rows = getattr(data, part)
    if not len(rows):
        there = [name for name in PARTS if len(getattr(data, name))]
        raise InputError(f"{data.name} has no {part} rows; choose --part {' or '.join(there)}")
    return EvaluationRows(data, rows, part)


def other_rows(
    model: Model, dataset: str, part: str | None = None, config: Config | None = None
) -> EvaluationRows:
    """Return rows of any data set, scaled by the model's own scaling, never by their own.

    dataset: a known name, a folder of images, or a file. part: by default the test rows; of a
        file that has none of its own, which is split only where a part is asked for, all rows.
    config: where data lies, with what seed it is made and split, what it may unpack to.
    Raises InputError where columns or labels are not the model's, or there are no rows.
    """
    config = config or Config()
    path = Path(dataset).expanduser()
    if part and part not in PARTS:
        raise unknown_name("part", part, PARTS)
    if dataset not in dataset_names() and is_table(path):
        from xpmlp.evaluation.table_rows import rows_of_table

        data = rows_of_table(model, path, part, config)
        return EvaluationRows(data, data.test, part or "all")
    if part is None and dataset not in dataset_names() and path.suffix and not path.is_dir():
        chosen = _rows_of_file(model, path, config.max_unpacked)
    else:
        data = load_dataset(
            dataset,
            data_dir=config.data_dir,
            validation=config.validation,
            scale="none",
            seed=config.data_seed,
            dtype="float32" if model.image_shape else "float64",  # either holds bytes as they are
            task=None if dataset in dataset_names() else _wished_task(model),
            max_unpacked=config.max_unpacked,
        )
        chosen = part_of(data, part)
    _check_columns(model, chosen.data)
    rows = replace(chosen.rows, x=_scaled(model, chosen), y=_labels(model, chosen))
    data = replace(
        chosen.data,
        task=model.task,
        class_names=model.class_names,
        scale=model.scale,
        scaling=model.scaling,
        target=model.target,
        note=_note(model, chosen.rows.x, rows.x),
        train=rows,
        validation=rows,
        test=rows,
    )
    return chosen._replace(data=data, rows=rows)


def _wished_task(model: Model) -> WishedTask | None:
    """Return what a file's labels must be: whole numbers are values to a model of values."""
    return "regression" if model.task == "regression" else None


def _rows_of_file(model: Model, path: Path, max_unpacked: float) -> EvaluationRows:
    """Return the rows that a file of arrays has for tests, else all, as they are."""
    from xpmlp.data.tables.loading import load_table

    wishes = Wishes(task=_wished_task(model), max_unpacked=max_unpacked)
    source = load_table(path, wishes)
    x, y = source.test or (source.x, source.y)
    rows, none = Rows(x, y), Rows(x[:0], y[:0])
    data = Dataset(
        str(path),
        source.task,
        rows,
        none,
        none,
        class_names=source.class_names,
        feature_names=source.feature_names,
        image_shape=source.image_shape,
    )
    return EvaluationRows(data, rows, "test" if source.test else "all")


def _check_columns(model: Model, data: Dataset) -> None:
    """Raise InputError for other columns than the model's, or the same ones in another order."""
    check_inputs(model, data)
    known, found = model.feature_names, data.feature_names
    if known == found or not (are_telling(known) and are_telling(found)):
        return
    if sorted(known) == sorted(found):
        i = next(i for i, pair in enumerate(zip(known, found, strict=True)) if len({*pair}) > 1)
        raise InputError(
            f"{data.name} has the model's columns in another order: column {i + 1} is "
            f"{found[i]!r} and must be {known[i]!r}"
        )
    raise InputError(
        f"{data.name} has other columns than the model: {_listed(found)} instead of "
        f"{_listed(known)}"
    )


def _scaled(model: Model, chosen: EvaluationRows) -> np.ndarray:
    x = model.scale_inputs(chosen.rows.x)
    if not np.isfinite(x).all():
        raise InputError(f"{chosen.data.name} has features too large for {x.dtype}")
    return x


def _note(model: Model, raw: np.ndarray, x: np.ndarray) -> str:
    """Return a line where raw rows look as if they were scaled already."""
    return TWICE if seem_scaled(model.scale, model.scaling, np.asarray(raw), x) else ""


def _labels(model: Model, chosen: EvaluationRows) -> np.ndarray:
    """Return the labels as the model's class indices, (N,), or as values, (N, O)."""
    return _indices(model.class_names, chosen) if model.class_names else _values(chosen)


def _indices(known: tuple[str, ...], chosen: EvaluationRows) -> np.ndarray:
    """Return the indices (N,) of the labels among the names that the model knows."""
    names, y = chosen.data.class_names, chosen.rows.y
    if not names:
        names, y = _whole_numbers(chosen)
    place_of = {name: place for place, name in enumerate(known)}
    unknown = [name for name in names if name not in place_of]
    if unknown:
        raise InputError(
            f"{chosen.data.name} has {count(len(unknown), 'label')} that the model doesn't know: "
            f"{_listed(unknown)}; its {len(known)} classes are {_listed(known)}"
        )
    indices: np.ndarray = np.array([place_of[name] for name in names])[y]
    return indices


def _whole_numbers(chosen: EvaluationRows) -> tuple[tuple[str, ...], np.ndarray]:
    """Return values as classes; many different whole numbers of an archive are read as values."""
    y = chosen.rows.y
    if y.shape[1] != 1 or (y != np.floor(y)).any():
        raise InputError(
            f"the model tells classes apart, and the labels of {chosen.data.name} are values, "
            f"such as {y[0, 0]:g}"
        )
    found, indices = np.unique(y[:, 0], return_inverse=True)
    return tuple(str(int(value)) for value in found), indices.reshape(-1)


def _values(chosen: EvaluationRows) -> np.ndarray:
    """Return values (N, O); the classes of a known set are values where they are numbers."""
    names = chosen.data.class_names
    if not names:
        return chosen.rows.y
    if not all(name.removeprefix("-").isdecimal() for name in names):
        raise InputError(
            f"the model predicts values, and the labels of {chosen.data.name} are classes: "
            f"{_listed(names)}"
        )
    values: np.ndarray = np.array(names, dtype=np.float64)[chosen.rows.y][:, None]
    return values


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + ", …" * (len(names) > LISTED)
