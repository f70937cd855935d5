"""What somebody asks of a data set of his own."""

from typing import Literal, NamedTuple, get_args

from xpmlp.data.rows import SCALES
from xpmlp.data.unpacking import USUAL_GIB
from xpmlp.errors import InputError, unknown_name

Task = Literal["classification", "regression"]
TASKS = get_args(Task)
_DTYPES = ("float32", "float64")


class Wishes(NamedTuple):
    """What somebody asks of a table of his own; None and nothing: to be told from the table.

    label: the column to learn, by its name or number, `first` or `last`, or several with commas.
    task: `classification` or `regression`. features: the columns to learn from. drop: those to
    leave out. header: whether the first line has the names. max_unpacked: as of `load_dataset`.
    """

    label: str | None = None
    task: Task | None = None
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    header: bool | None = None
    max_unpacked: float = USUAL_GIB

    @property
    def name_columns(self) -> bool:
        """Whether they are of a table with named columns."""
        return self != Wishes(task=self.task, max_unpacked=self.max_unpacked)


def check_choices(scale: str | None, seed: int, dtype: str, task: str | None) -> None:
    """Refuse what can't be asked for, before anything is read or downloaded."""
    if scale is not None and scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    if dtype not in _DTYPES:
        raise unknown_name("dtype", dtype, _DTYPES)
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")
