"""A column with a type: numbers, or indices of the texts that it holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["number", "yes/no", "date", "category"]


@dataclass(frozen=True)
class Column:
    """A column of N entries.

    values: of a number, a date (days since 1970-01-01) and a yes/no (0 and 1) float64 (N,), NaN
        where missing; of a category the places (N,), int32, in `levels`, -1 where missing.
    levels: of a category its texts, as they are written, sorted; of a yes/no the text of 0 and
        that of 1; else none.
    notation: how the texts were read: of numbers `plain`, `decimal comma`, `thousands comma`, …;
        of dates their format; else "".
    """

    name: str
    kind: Kind
    values: "np.ndarray"
    levels: tuple[str, ...] = ()
    notation: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> "np.ndarray":
        """Where nothing stands, (N,), bool."""
        missing: np.ndarray = (
            self.values < 0 if self.kind == "category" else self.values != self.values
        )
        return missing
