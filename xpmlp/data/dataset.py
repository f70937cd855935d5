"""What every loader returns: rows with their targets, split into three, on the host.

Whoever has rows on a device may train on them there.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from xpmlp.types import Array

if TYPE_CHECKING:
    import numpy as np

Task = Literal["classification", "multilabel", "regression"]


@dataclass(frozen=True)
class Rows:
    """One part of a data set.

    x: (N, D), float32 or float64 as asked for, scaled, C-contiguous. Loaders put it on the host;
        it may also be an array of the backend's own library, best on its device: that is trained
        on where it is, and never written.
    y: class indices (N,), int64, for classification; values (N, O), float64, for regression;
        0 or 1 for each of O labels, (N, O), float64, for multilabel.
    weights: how much each row counts, (N,), positive, of any scale; None: all alike.
    """

    x: "Array"
    y: "np.ndarray"
    weights: "np.ndarray | None" = None

    def __len__(self) -> int:
        return len(self.y)


class Scaling(NamedTuple):
    """What was done to each column: x = (raw - shift) / width, both (D,), float64."""

    shift: "np.ndarray"
    width: "np.ndarray"


@dataclass(frozen=True)
class Dataset:
    """A data set that is ready to train on.

    name: as asked for, or what `auto` chose.
    class_names: one per class, in the order of the indices; empty for regression and multilabel.
    feature_names: one per column of x; empty for images.
    image_shape: (height, width) where the rows are images, else None.
    scale: the scaling that was applied: `none`, `center`, `unit` or `standard`.
    scaling: its numbers, None where the rows came without.
    note: one plain line that a person should see (what `auto` chose and why), or "".
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
    note: str = ""

    @property
    def n_features(self) -> int:
        """Columns of x."""
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Classes, or where there are none the columns of y."""
        return len(self.class_names) or int(self.train.y.shape[1])
