"""What every loader returns: rows with their targets, split into three."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from xpmlp.data.rows import ROWS_AT_ONCE, SCALES, Rows, Scaling, Task
from xpmlp.described import Described, Lines
from xpmlp.errors import InputError, unknown_name

if TYPE_CHECKING:
    from xpmlp.data.tables.describing import TableAbout
    from xpmlp.data.tables.rules import ColumnRule

__all__ = ["ROWS_AT_ONCE", "SCALES", "Dataset", "Rows", "Scaling", "Task"]


@dataclass(frozen=True, repr=False)
class Dataset(Described):
    """A data set that is ready to train on.

    name: as asked for, or what `auto` chose.
    class_names: one per class, in the order of the indices; empty for regression and multilabel.
    feature_names: one per column of x; empty for images.
    image_shape: (height, width) where the rows are images, else None.
    scale: the scaling that was applied, one of `SCALES`.
    scaling: its numbers, None where the rows came without.
    columns: of a table how each of its columns became columns of x; else none.
    label: of a table the names of the columns that are learnt.
    target: of values that are learnt in units of their own deviation, mean and deviation of
        each column of y in the training rows, which itself stays in the units of the table.
    about: of a table what it was taken for, column by column.
    note: plain lines that a person should see (what `auto` chose and why), or "".
    parted: validation and seed that `load_dataset` parted its rows by; None for other rows.
    Raises InputError for parts that are no `Rows`, an unknown task, and names that are no texts.
    """

    name: str
    task: Task
    train: Rows
    validation: Rows
    test: Rows
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    scale: str = "none"
    scaling: Scaling | None = None
    columns: "tuple[ColumnRule, ...]" = ()
    label: tuple[str, ...] = ()
    target: Scaling | None = None
    about: "TableAbout | None" = None
    note: str = ""
    parted: tuple[float | int | None, int] | None = None

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise unknown_name("task", self.task, get_args(Task))
        for part in ("train", "validation", "test"):
            rows = getattr(self, part)
            if not isinstance(rows, Rows):
                raise InputError(
                    f"{self.name}: {part} must be xpmlp.Rows(x, y), got {type(rows).__name__}; "
                    "xpmlp.Rows(x[:0], y[:0]) where there are none"
                )
        for names in ("class_names", "feature_names"):
            object.__setattr__(self, names, self._texts(names))

        if self.task == "multilabel" and self.class_names:
            raise InputError(
                f"{self.name}: class_names are of classes, one for each row; leave them out for "
                "multilabel"
            )

    def _texts(self, names: str) -> tuple[str, ...]:
        given = getattr(self, names)
        if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
            return tuple(given)
        raise InputError(
            f"{self.name}: {names} must be a tuple of texts, got {given!r}; "
            "tuple(map(str, names)) makes one of numbers"
        )

    def described(self) -> tuple[str, Lines]:
        """Return its parts, classes and columns, for its text and its table."""
        from xpmlp.data.describing import dataset_lines

        return f"data set {self.name}, {self.task}", dataset_lines(self)

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any,
        *,
        test: Any = None,
        validation: Any = None,
        weights: Any = None,
        scale: str | None = None,
        seed: int = 0,
        dtype: str = "float32",
        task: str | None = None,
        names: Sequence[str] = (),
        class_names: Sequence[str] = (),
    ) -> "Dataset":
        """Make a data set of rows of your own, as a file with them would be.

        x: numbers (N, D), or images (N, H, W): arrays or tensors of any library, lists, sparse
            matrices; or a frame of pandas, polars or pyarrow, whose columns may be texts, dates
            and have gaps, and are taken for what those of a table would be.
        y: texts or whole numbers (N,), which are classes, other numbers (N,) or (N, O), which are
            values, or labels of 0 and 1, (N, O); task, `classification` or `regression`, decides
            otherwise.
        test, validation: a share of the rows, a count, 0 for none, or rows of your own (x, y) or
            (x, y, weights); without, a fifth, then a tenth of the rest. seed chooses them.
        weights: how much each row counts, (N,).
        scale: one of `SCALES`, by the training rows; without, `unit` for images and else `auto`.
        dtype: of x, `float32` or `float64`.
        names: of the columns; a frame has its own. class_names: in the order of the classes.

        What had to be assumed is a UserWarning. Raises InputError for what can't be trained on.
        """
        from xpmlp.data.given_arrays import fields_of_arrays

        return cls(
            **fields_of_arrays(
                x,
                y,
                test=test,
                validation=validation,
                weights=weights,
                scale=scale,
                seed=seed,
                dtype=dtype,
                task=task,
                names=names,
                class_names=class_names,
            )
        )

    @property
    def n_features(self) -> int:
        """Columns of x."""
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Classes, or where there are none the columns of y."""
        return len(self.class_names) or int(self.train.y.shape[1])
