"""What becomes of one column of a table: the rule that a model keeps."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xpmlp.data.kinds import check_kinds
from xpmlp.data.tables.columns import Kind

_KINDS = {
    "name": str,
    "kind": str,
    "notation": str,
    "levels": [str],
    "kept": int,
    "rare": bool,
    "fill": float,
    "missing": bool,
}


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
        """Return a rule again. Raises TypeError, KeyError or ValueError for what is none."""
        check_kinds(about, _KINDS)
        rule = cls(**{**about, "levels": tuple(about["levels"])})
        if not rule._is_sound():
            raise ValueError(f"the rule of its column {rule.name!r} can't be")
        return rule

    def _is_sound(self) -> bool:
        """Tell whether its parts fit its kind, of which texts are none."""
        from xpmlp.data.tables.notation import DATES, NUMBERS

        levels = len(self.levels)
        if levels != len({*self.levels}) or not (self.kind == "category" or self._has_no_kept()):
            return False
        match self.kind:
            case "number":
                return self.notation in (*NUMBERS, "")
            case "date":
                return self.notation in (*DATES, "")
            case "yes/no":
                return levels == 2
            case "category":
                return 0 <= self.kept <= levels and self.rare == (self.kept < levels)
        return False

    def _has_no_kept(self) -> bool:
        return not self.kept and not self.rare
