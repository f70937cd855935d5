"""What somebody asks of a table of his own."""

from typing import Literal, NamedTuple, get_args

Task = Literal["classification", "regression"]
TASKS = get_args(Task)


class Wishes(NamedTuple):
    """What somebody asks of a table of his own; None and nothing: to be told from the table.

    label: the column to learn, by its name or number, `first` or `last`, or several with commas.
    task: `classification` or `regression`. features: the columns to learn from. drop: those to
    leave out. header: whether the first line has the names.
    """

    label: str | None = None
    task: Task | None = None
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    header: bool | None = None
