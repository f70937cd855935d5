"""How time grows: the cases of a sweep over width, depth, batch size or rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from bench.cases import Case, case_of
from bench.results import Figures

WIDTH, BATCH, ROWS = 300, 128, 12_800


class Sweep(NamedTuple):
    """What grows, in words, the cases, and where a case of a report stands on the axis."""

    label: str
    cases: tuple[Case, ...]
    place: Callable[[Figures], int]


def _of_depth(depth: int) -> Case:
    """Return a case at a rate so low that rounding does not grow in deep nets."""
    case = case_of(*(WIDTH,) * depth, batch_size=BATCH, rows=ROWS)
    return replace(case, learning_rate=0.01)


SWEEPS = {
    "width": Sweep(
        "width of the hidden layer",
        tuple(
            case_of(width, batch_size=BATCH, rows=ROWS)
            for width in (32, 64, 128, 256, 512, 1024, 2048)
        ),
        lambda case: int(case["hidden"][0]),
    ),
    "depth": Sweep(
        f"number of hidden layers, each {WIDTH} wide",
        tuple(_of_depth(depth) for depth in (1, 2, 3, 4, 6, 8)),
        lambda case: len(case["hidden"]),
    ),
    "batch": Sweep(
        "batch size",
        tuple(
            case_of(WIDTH, batch_size=size, rows=ROWS) for size in (16, 32, 64, 128, 256, 512, 1024)
        ),
        lambda case: int(case["batch_size"]),
    ),
    "rows": Sweep(
        "rows of an epoch",
        tuple(
            case_of(WIDTH, batch_size=BATCH, rows=rows)
            for rows in (3_750, 7_500, 15_000, 30_000, 60_000)
        ),
        lambda case: int(case["rows"]),
    ),
}
