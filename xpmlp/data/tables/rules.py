"""What becomes of one column of a table: the rule that a model keeps."""

from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from xpmlp.data.tables.columns import Kind


@dataclass(frozen=True)
class ColumnRule:
    """What becomes of one column of a table.

    name, kind, notation: as in `Column`.
    levels: of a category the texts of the training rows, those first that have a column of their
        own, `kept` of them; of a yes/no the text of 0 and that of 1.
    rare: whether the levels beyond `kept` share a column.
    fill: what stands for a missing number, date or yes/no: the median of the training rows.
    missing: whether a column tells where the entry is missing, as in training some were.
    """

    name: str
    kind: Kind
    notation: str = ""
    levels: tuple[str, ...] = ()
    kept: int = 0
    rare: bool = False
    fill: float = 0.0
    missing: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is of numbers or dates, which are scaled, else of texts."""
        return self.kind in ("number", "date")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its W columns in the matrix."""
        own = [self.name]
        if self.kind == "category":
            own = [f"{self.name}={level}" for level in self.levels[: self.kept]]
        own += [f"{self.name} rare"] * self.rare
        return (*own, *[f"{self.name} missing"] * self.missing)

    @property
    def codes(self) -> np.ndarray:
        """What texts become, (L + 2, W), float64: those of `code_of`, unknown ones, missing ones.

        Of a category unknown is 0 in all columns, and missing too where no column is for it; of a
        yes/no unknown is as missing.
        """
        W = len(self.names)
        if self.kind == "category":
            own = self.kept + self.rare
            codes = np.zeros((own + 2, W))
            codes[:own, :own] = np.eye(own)
            codes[-1, own:] = 1.0
        else:
            codes = np.ones((4, W))
            codes[:2] = 0.0
            codes[:, 0] = 0.0, 1.0, self.fill, self.fill
        return codes

    @property
    def code_of(self) -> dict[str, int]:
        """The row of `codes` of each level."""
        last = self.kept if self.kind == "category" else 1
        return {level: min(place, last) for place, level in enumerate(self.levels)}

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, about: dict[str, Any]) -> "ColumnRule":
        """Return a rule again. Raises TypeError or ValueError for what is none."""
        if about["kind"] not in get_args(Kind):
            raise ValueError(f"no column is of kind {about['kind']!r}")
        return cls(**{**about, "levels": tuple(about["levels"])})
