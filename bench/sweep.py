"""How time grows: the cases of a sweep over width, depth, batch size or rows."""

from collections.abc import Callable
from typing import NamedTuple

from bench.cases import Case, case_of
from bench.results import Figures

WIDTH, BATCH, ROWS = 300, 128, 12_800


class Sweep(NamedTuple):
    """What grows, in words, the cases, and where a case of a report stands on the axis."""

    label: str
    cases: tuple[Case, ...]
    place: Callable[[Figures], int]


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
        f"hidden layers of {WIDTH}",
        tuple(
            case_of(*(WIDTH,) * depth, batch_size=BATCH, rows=ROWS) for depth in (1, 2, 3, 4, 6, 8)
        ),
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
