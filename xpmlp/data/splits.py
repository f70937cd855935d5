"""Train, validation and test rows: canonical where a set has them, seeded where not."""

import numpy as np

from xpmlp.data.source import Source
from xpmlp.errors import InputError

Part = tuple[np.ndarray, np.ndarray]

_TEST, _VALIDATION = 1, 2


def split(source: Source, validation: float | int | None, seed: int) -> tuple[Part, Part, Part]:
    """Return the train, validation and test parts, each (x, y), unscaled.

    validation: a fraction (0 < f < 1) of the training rows, a count of rows, 0 for none, or
        None for the set's default: its own validation rows, where it has them, which else are
        training rows to choose from. Rows keep their order within each part.
    seed: chooses the rows held out; the test rows don't depend on `validation`.

    Raises InputError for a size that is no fraction or count, or leaves nothing to train on.
    """
    if source.shared:
        none = validation is not None and count_rows(validation, len(source.y) + 1) == 0
        rows = (source.x, source.y)
        return rows, (source.x[:0], source.y[:0]) if none else rows, rows
    train, test = (source.x, source.y), source.test
    if test is None:
        size = count_rows(source.test_size, len(source.y), "the test set")
        test = (source.x[:0], source.y[:0])
        if size:
            train, test = hold_out(train, size, seed, _TEST)
    if source.validation is not None:
        if validation is None:
            return train, source.validation, test
        more_x, more_y = source.validation
        train = np.concatenate([train[0], more_x]), np.concatenate([train[1], more_y])
    n = len(train[1])
    if validation is None:
        validation = source.tail if source.tail and 2 * source.tail <= n else 0.1 * (n > 1)
    size = count_rows(validation, n)
    if size == 0 or source.tail is not None:
        x, y = train
        return (x[: n - size], y[: n - size]), (x[n - size :], y[n - size :]), test
    train, held = hold_out(train, size, seed, _VALIDATION)
    return train, held, test


def count_rows(wanted: float | int, available: int, what: str = "--validation") -> int:
    """Return how many of `available` rows a fraction or a count means, leaving at least one."""
    if wanted == 0 or (isinstance(wanted, int) and wanted > 0):
        count = int(wanted)
    elif 0 < wanted < 1:
        count = max(1, round(wanted * available))
    else:
        raise InputError(
            f"{what}: expected a fraction between 0 and 1 or a whole number of rows, got {wanted!r}"
        )
    if count >= available:
        raise InputError(
            f"{what}: taking {count:,} of {available:,} rows would leave nothing to train on"
        )
    return count


def hold_out(rows: Part, size: int, seed: int, purpose: int = _TEST) -> tuple[Part, Part]:
    """Split rows into (kept, held out), `size` of them held out by a seeded choice.

    Classes keep their shares where each has at least two rows and both sides have room for
    one of each; else, and for regression, any rows may be chosen. `purpose` separates the
    random streams of choices that share a seed.
    """
    from sklearn.model_selection import train_test_split

    x, y = rows
    kept, held = train_test_split(
        np.arange(len(y)),
        test_size=size,
        stratify=y if _can_stratify(y, size) else None,
        random_state=random_state(seed, purpose),
    )
    kept.sort()
    held.sort()
    return (x[kept], y[kept]), (x[held], y[held])


def random_state(seed: int, purpose: int = 0) -> np.random.RandomState:
    """Return a legacy generator, as scikit-learn wants it, for one purpose of a seed."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, purpose])))


def _can_stratify(y: np.ndarray, size: int) -> bool:
    if y.ndim != 1:
        return False
    counts = np.unique(y, return_counts=True)[1]
    return bool(counts.min() >= 2 and min(size, len(y) - size) >= len(counts))
