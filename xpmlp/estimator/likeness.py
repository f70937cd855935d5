"""Whether rows that validate look like those that train: unscaled ones don't.

By Kuiper's statistic of each column, V = max(F - G) + max(G - F) of its two distributions (Kuiper
1960), which is 0 where they are equal and 1 where one lies beside the other or within a gap of
it. It goes by ranks alone, so that no tail is too heavy. Rows that were split at random exceed
what is asked for here with a probability below 1e-7 a column, whatever their distribution.
"""

import math

import numpy as np

UNLIKE = 0.7
_RARE = 3.2  # 2 Σ (4j²λ² - 1) exp(-2j²λ²), how often honest columns go beyond λ, is 1e-7 there
_MOST_ROWS, _MOST_COLUMNS = 1000, 200


def spread_rows(n: int) -> np.ndarray:
    """Return the numbers of at most 1,000 of N rows, evenly spread."""
    return np.arange(0, n, max(1, -(-n // _MOST_ROWS)))


def unlike_columns(train: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the columns in which rows (M, D) look nothing like training rows (N, D).

    The value that is most frequent in both together, as the 0 of sparse columns, is left out of
    each, and both are compared in float32, whatever they came in. Returned too is how many
    columns could be judged: too few rows tell nothing.
    """
    unlike, judged = [], 0
    width = train.shape[1]
    for column in range(0, width, max(1, -(-width // _MOST_COLUMNS))):
        a, b = (rows[:, column].astype(np.float32) for rows in (train, other))
        values, counts = np.unique(np.concatenate([a, b]), return_counts=True)
        usual = values[counts.argmax()]
        a, b = a[a != usual], b[b != usual]
        least = _least(len(a), len(b))
        if least > 1:
            continue
        judged += 1
        if _kuiper(a, b) >= least:
            unlike.append(column)
    return np.array(unlike, dtype=int), judged


def _least(n: int, m: int) -> float:
    """Return the V from which n and m values are unlike; above 1 where they are too few.

    With Stephens' correction for few values (1970).
    """
    if not n or not m:
        return math.inf
    root = math.sqrt(n * m / (n + m))
    return max(UNLIKE, _RARE / (root + 0.155 + 0.24 / root))


def _kuiper(a: np.ndarray, b: np.ndarray) -> float:
    values = np.concatenate([a, b])
    F, G = (np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (a, b))
    return float(max(0.0, (F - G).max()) + max(0.0, (G - F).max()))
