"""Rows with their targets, on the host, and the scaling of their columns.

Whoever has rows on a device may train on them there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from xpmlp.described import Described, Lines
from xpmlp.errors import InputError
from xpmlp.types import Array

if TYPE_CHECKING:
    import numpy as np

Task = Literal["classification", "multilabel", "regression"]

SCALES = ("none", "center", "unit", "standard", "robust", "quantile", "auto")

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, repr=False)
class Rows(Described):
    """One part of a data set.

    x: (N, D), float32 or float64 as asked for, scaled, C-contiguous. Loaders put it on the host;
        it may also be an array of the backend's own library, best on its device: that is trained
        on where it is, and never written; or `Streamed`, which stays on disk.
    y: class indices (N,), int64, for classification; values (N, O), float64, for regression;
        0 or 1 for each of O labels, (N, O), float64, for multilabel.
    weights: how much each row counts, (N,), positive, of any scale; None: all alike.
    Raises InputError for what are no such arrays: lists, data frames, sparse matrices.
    """

    x: "Array"
    y: "np.ndarray"
    weights: "np.ndarray | None" = None

    def __post_init__(self) -> None:
        _require_array("x", self.x, on_host=False)
        _require_array("y", self.y)
        if self.weights is not None:
            _require_array("weights", self.weights)

    def __len__(self) -> int:
        return len(self.y)

    def described(self) -> tuple[str, Lines]:
        """Return shapes, ranges and counts, for its text and its table."""
        from xpmlp.data.describing import rows_lines

        return f"{len(self):,} rows", rows_lines(self)


def _require_array(name: str, value: Any, on_host: bool = True) -> None:
    """Raise InputError for what is no array; on_host: of NumPy, else of any library."""
    import numpy as np
    from array_api_compat import is_array_api_obj

    if getattr(value, "stays_on_disk", False) and not on_host:
        return
    known = isinstance(value, np.ndarray) if on_host else is_array_api_obj(value)
    if known and value.ndim and not isinstance(value, np.matrix | np.ma.MaskedArray):
        return
    if getattr(value, "ndim", None) == 0:
        remedy = f"numpy.atleast_1d({name}) makes one of a single entry"
    elif isinstance(value, np.ma.MaskedArray):
        remedy = "fill what is masked, or leave these rows out"
    elif hasattr(value, "toarray"):
        remedy = f"give {name}.toarray()"
    elif hasattr(value, "to_numpy"):
        remedy = f"give {name}.to_numpy()"
    else:
        remedy = f"numpy.asarray({name}) makes one of a list"
    whose = "a NumPy array" if on_host else "an array of NumPy or of the backend's library"
    raise InputError(f"Rows: {name} must be {whose}, got {type(value).__name__}; {remedy}")


class Scaling(NamedTuple):
    """What is done to each of D columns: x = (r - shift) / width, of its raw values or their ranks.

    shift, width: (D,), float64. quantiles: (Q, D), float64, Q ≥ 2: the values of each column of
        which the rank is 0, 1/(Q - 1), …, 1; of NaN where a column isn't ranked; None: none is.
    """

    shift: "np.ndarray"
    width: "np.ndarray"
    quantiles: "np.ndarray | None" = None

    @property
    def is_finite(self) -> "np.ndarray":
        """Which columns can be scaled, (D,): not those whose spread is beyond float64."""
        import numpy as np

        finite: np.ndarray = np.isfinite(self.shift) & np.isfinite(self.width)
        return finite

    def apply(self, raw: "np.ndarray", dtype: str) -> "np.ndarray":
        """Return raw values (N, D) scaled, in `dtype`; computed in float64, some rows at a time."""
        import numpy as np

        x = np.empty(raw.shape, dtype)
        for start in range(0, len(raw), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            scaled = self._ranked(raw[rows]) - self.shift
            scaled /= self.width
            x[rows] = scaled
        return x

    @property
    def are_ranked(self) -> "np.ndarray":
        """Which columns are scaled by their ranks, (D,)."""
        import numpy as np

        none = np.zeros(len(self.shift), bool)
        return none if self.quantiles is None else ~np.isnan(self.quantiles[0])

    def undo(self, x: "np.ndarray") -> "np.ndarray":
        """Return the raw values (N, D), float64, of scaled ones, of ranks between 0 and 1."""
        import numpy as np

        raw: np.ndarray = x * self.width + self.shift
        for column, quantiles in self._ranks():
            raw[:, column] = np.interp(raw[:, column], _evenly(quantiles), quantiles)
        return raw

    def _ranked(self, raw: "np.ndarray") -> "np.ndarray":
        """Return float64 values with the rank of each in place of it, where its column has one."""
        if self.quantiles is None:
            return raw
        ranked = raw.astype("float64")
        for column, quantiles in self._ranks():
            ranked[:, column] = _rank(ranked[:, column], quantiles)
        return ranked

    def _ranks(self) -> "Iterator[tuple[int, np.ndarray]]":
        """Yield each column that is ranked, with its quantiles."""
        if self.quantiles is not None:
            for column, quantiles in enumerate(self.quantiles.T):
                if quantiles[0] == quantiles[0]:
                    yield column, quantiles


def _rank(values: "np.ndarray", quantiles: "np.ndarray") -> "np.ndarray":
    """Return ranks (N,) between 0 and 1, as scikit-learn's QuantileTransformer gives them.

    Of a value that is several of the quantiles it is the mean of their ranks; of the lowest and
    the highest it is 0 and 1.
    """
    import numpy as np

    ranks = _evenly(quantiles)
    last = np.interp(values, quantiles, ranks)
    first = -np.interp(-values, -quantiles[::-1], -ranks[::-1])
    rank: np.ndarray = 0.5 * (first + last)
    rank[values == quantiles[-1]] = 1.0
    rank[values == quantiles[0]] = 0.0
    return rank


def _evenly(quantiles: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.linspace(0.0, 1.0, len(quantiles))
