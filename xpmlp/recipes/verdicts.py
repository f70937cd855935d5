"""Verdicts on a recipe's figures: computed from what is published and what was found."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from xpmlp.recipes.base import (
    Check,
    Golden,
    NoData,
    Property,
    Published,
    Results,
    largest_relative_error,
)
from xpmlp.recipes.numbers import figure_text
from xpmlp.training.spread import Spread, spread_of, spread_text

Kind = Literal["golden", "published", "property"]
Verdict = Literal[
    "exact", "within", "outside", "holds", "fails", "not judged (quick)", "not judged (no data)"
]

LARGEST_ERROR = 1e-12
LARGEST_DISTANCE = 3
NOT_JUDGED: Verdict = "not judged (quick)"
NO_DATA: Verdict = "not judged (no data)"
KINDS: dict[type[Check], Kind] = {
    Golden: "golden",
    Published: "published",
    Property: "property",
}
EXPLAINED = "outside (explained)"
COUNTED = {
    "exact": "exact",
    "within": "within",
    EXPLAINED: EXPLAINED,
    "outside": "outside",
    "holds": "hold",
    "fails": "fail",
    NOT_JUDGED: NOT_JUDGED,
    NO_DATA: NO_DATA,
}


@dataclass(frozen=True)
class Row:
    """One figure or property with its verdict.

    published: None for a property. values: ours, one per seed; of a golden figure the one; of a
    property none. ours: the text of the tables. spread: of a published figure.
    detail: what is to be said with the verdict. explained_by: the property that holds and
    explains why the published figure lies outside.
    """

    kind: Kind
    quantity: str
    published: Any
    values: Sequence[Any]
    ours: str
    verdict: Verdict
    detail: str = ""
    explained_by: str = ""
    spread: Spread | None = None

    @property
    def counted_as(self) -> str:
        """The verdict as it is counted: one that is explained counts apart."""
        return EXPLAINED if self.explained_by else self.verdict

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong: it neither fails nor lies outside unexplained."""
        return self.counted_as not in ("outside", "fails")

    @property
    def verdict_text(self) -> str:
        """The verdict with its detail and its explanation."""
        text = f"{self.verdict}: {self.detail}" if self.detail else self.verdict
        return f'{text}, explained by "{self.explained_by}"' if self.explained_by else text


def is_within(figure: float, spread: Spread) -> bool:
    """Tell whether a figure lies within 3 standard deviations of a mean over the seeds."""
    return abs(spread.distance(figure)) <= LARGEST_DISTANCE


def judge(checks: Sequence[Check], results: Results) -> list[Row]:
    """Return a row for each check, in order.

    In a quick reproduction published figures, and properties that need the full one, are not
    judged; nor is a check that asks for a training whose data is missing.
    """
    rows = [_judge(check, results) for check in checks]
    holding = {row.quantity for row in rows if row.verdict == "holds"}
    return [
        replace(row, explained_by=check.explained_by)
        if isinstance(check, Published)
        and row.verdict == "outside"
        and check.explained_by in holding
        else row
        for check, row in zip(checks, rows, strict=True)
    ]


def _judge(check: Check, results: Results) -> Row:
    try:
        if isinstance(check, Golden):
            return _golden(check, results)
        if isinstance(check, Published):
            return _published(check, results)
        return _property(check, results)
    except NoData:
        published = None if isinstance(check, Property) else check.published
        return Row(KINDS[type(check)], check.quantity, published, [], "–", NO_DATA)


def _golden(check: Golden, results: Results) -> Row:
    ours = np.asarray(check.ours(results), dtype=float)
    error = largest_relative_error(ours, check.published)
    exact = error <= LARGEST_ERROR
    if not exact or ours.ndim == 0:
        text = figure_text(ours)
    else:
        text = f"largest relative error {error:.0e}" if error else "identical"
    return Row(
        kind="golden",
        quantity=check.quantity,
        published=check.published,
        values=[ours],
        ours=text,
        verdict="exact" if exact else "fails",
        detail="" if exact else _miss(ours, np.asarray(check.published), error),
    )


def _miss(ours: np.ndarray, published: np.ndarray, error: float) -> str:
    if ours.shape != published.shape:
        return f"shape {ours.shape} instead of {published.shape}"
    return f"largest relative error {error:.1e}"


def _published(check: Published, results: Results) -> Row:
    values = [float(value) for value in check.ours(results)]
    spread = spread_of(values)
    row = Row(
        kind="published",
        quantity=check.quantity,
        published=check.published,
        values=values,
        ours=spread_text(values),
        verdict=NOT_JUDGED,
        spread=spread,
    )
    if results.setting.quick:
        return row
    if is_within(check.published, spread):
        return replace(row, verdict="within")
    return replace(row, verdict="outside", detail=_distance_text(spread.distance(check.published)))


def _distance_text(distance: float) -> str:
    if math.isinf(distance):
        return "ours has no spread"
    return f"{abs(distance):,.2f} sd {'above' if distance > 0 else 'below'} our mean"


def _property(check: Property, results: Results) -> Row:
    row = Row("property", check.quantity, None, [], "–", NOT_JUDGED)
    if results.setting.quick and not check.quick:
        return row
    holds, seen = check.ours(results)
    return replace(row, ours=seen, verdict="holds" if holds else "fails")


def count(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many rows have each verdict."""
    verdicts = [row.counted_as for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in COUNTED}


def count_text(rows: Iterable[Row]) -> str:
    """Return the counts as in `31 exact, 12 within, 2 outside (explained), 20 hold, 0 fail`."""
    return ", ".join(
        f"{number} {COUNTED[verdict]}"
        for verdict, number in count(rows).items()
        if number or verdict == "fails"
    )
