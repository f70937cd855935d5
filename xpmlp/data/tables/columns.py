"""A column with a type: numbers, or indices of the texts that it holds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["number", "yes/no", "date", "category", "text"]


@dataclass(frozen=True)
class Column:
    """A column of N entries.

    kind: `text` is a text of too many different ones to be categories; no net is given that.
    values: of a number, a date (days since 1970-01-01) and a yes/no (0 and 1) float64 (N,), NaN
        where missing; of a category or text the places (N,), int32, in `levels`, -1 where
        missing, -2 where the text is none of `levels` (only in a column read by a rule).
    levels: of a category its texts, as they are written, sorted; of a text those in the order
        of their first entries; of a yes/no the text of 0 and that of 1; else none.
    notation: how the texts were read, a key of `notation.NUMBERS` or `notation.DATES`; else "".
    note: what was assumed in reading them, in words, or "".
    """

    name: str
    kind: Kind
    values: "np.ndarray"
    levels: tuple[str, ...] = ()
    notation: str = ""
    note: str = ""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def missing(self) -> "np.ndarray":
        """Where nothing stands, (N,), bool."""
        placed = self.kind in ("category", "text")
        missing: np.ndarray = self.values == -1 if placed else self.values != self.values
        return missing
