"""Small sets for pictures and experiments: XOR, moons, spirals, ellipse, digits, iris.

Each set has a plain function that makes its rows, and a loader of the registry's form. Where
the folder `ist597/` with the Penn State IST 597 course files lies in a data folder, `xor`,
`spirals` and `iris` are read from there.
"""

from pathlib import Path

import numpy as np

from xpmlp.data.places import Places
from xpmlp.data.source import Source
from xpmlp.data.splits import Part, random_state
from xpmlp.errors import InputError

ELLIPSE_LEVEL = 0.6
_PLANE = ("x1", "x2")
_IRIS_FEATURES = (
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
)
_IRIS_CLASSES = ("setosa", "versicolor", "virginica")


def xor_rows() -> Part:
    """Return the truth table of exclusive or: x (4, 2) float64, y (4,) int64."""
    return np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


def spiral_rows(generator: np.random.RandomState, rows: int = 100, classes: int = 3) -> Part:
    """Return arms of a spiral, `rows` points in each class.

    Point i of class c has radius r_i from 0 to 1 and angle t_i from 4c to 4(c+1), both evenly
    spaced, the angle with noise 0.2 N(0, 1); x = (r sin t, r cos t).
    Source: Karpathy, CS231n notes, "Neural networks case study".
    """
    radius = np.linspace(0.0, 1.0, rows)
    arms = []
    for c in range(classes):
        angle = np.linspace(4.0 * c, 4.0 * (c + 1), rows) + 0.2 * generator.randn(rows)
        arms.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1))
    return np.concatenate(arms), np.repeat(np.arange(classes), rows)


def moon_rows(generator: np.random.RandomState, rows: int = 1000, noise: float = 0.1) -> Part:
    """Return scikit-learn's two interleaved half circles with noise N(0, noise²)."""
    from sklearn.datasets import make_moons

    x, y = make_moons(n_samples=rows, noise=noise, random_state=generator)
    return x, y.astype(np.int64)


def ellipse_rows() -> Part:
    """Return 70,000 points of N(0, 1), class 1 outside the ellipse xᵀQx = 0.6.

    Always the same points, from the legacy generator with seed 0.
    Source: VU Amsterdam, Deep Learning, assignment 1.
    """
    x = np.random.RandomState(0).randn(70_000, 2)
    return x, (ellipse_form(x) > ELLIPSE_LEVEL).astype(np.int64)


def ellipse_form(x: np.ndarray) -> np.ndarray:
    """Return xᵀQx (N,) of points x (N, 2), with Q = [[1, -0.05], [1, 0.4]]."""
    q = np.array([[1.0, -0.05], [1.0, 0.4]])
    form: np.ndarray = np.sum((x @ q) * x, axis=1)
    return form


def xor(places: Places, seed: int) -> Source:
    """Load the four rows of XOR; all of them are training, validation and test rows."""
    del seed
    x, y = _course_rows(places, "xor.dat", 2) or xor_rows()
    return Source(
        "xor",
        "classification",
        x,
        y,
        class_names=("0", "1"),
        feature_names=_PLANE,
        shared=True,
        note="xor has only 4 rows, so all of them serve as training, validation and test rows",
    )


def spirals(places: Places, seed: int) -> Source:
    """Load three spiral arms of 100 points each."""
    x, y = _course_rows(places, "spiral_train.dat", 3) or spiral_rows(random_state(seed))
    return Source("spirals", "classification", x, y, ("0", "1", "2"), _PLANE)


def moons(places: Places, seed: int) -> Source:
    """Load two half moons, 1,000 points."""
    del places
    x, y = moon_rows(random_state(seed))
    return Source("moons", "classification", x, y, ("0", "1"), _PLANE)


def ellipse(places: Places, seed: int) -> Source:
    """Load the ellipse: the first 60,000 rows to train, the last 10,000 as test rows.

    The assignment calls the latter validation rows; as it has no others, `validation=0` gives
    exactly its split.
    """
    del places, seed
    x, y = ellipse_rows()
    return Source(
        "ellipse",
        "classification",
        x[:60_000],
        y[:60_000],
        class_names=("inside", "outside"),
        feature_names=_PLANE,
        test=(x[60_000:], y[60_000:]),
    )


def iris(places: Places, seed: int) -> Source:
    """Load iris: the course's 110 and 40 rows, else 40 of scikit-learn's 150 held out."""
    del seed
    train = _course_rows(places, "iris_train.dat", 3)
    test = _course_rows(places, "iris_test.dat", 3)
    if train is None or test is None:
        from sklearn.datasets import load_iris

        x, y = load_iris(return_X_y=True)
        train, test = (x, y.astype(np.int64)), None
    return Source(
        "iris",
        "classification",
        *train,
        class_names=_IRIS_CLASSES,
        feature_names=_IRIS_FEATURES,
        test=test,
        test_size=40,
    )


def digits(places: Places, seed: int) -> Source:
    """Load scikit-learn's 1,797 handwritten digits, 8x8 pixels of 0 to 16."""
    del places, seed
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Source(
        "digits",
        "classification",
        x.astype(np.uint8),
        y.astype(np.int64),
        class_names=tuple("0123456789"),
        image_shape=(8, 8),
        full_scale=16.0,
    )


def _course_rows(places: Places, name: str, classes: int) -> Part | None:
    """Read a course file, whose labels are 0..classes-1, from the first place that has it."""
    for folder in places.folders():
        path: Path = folder / "ist597" / name
        if path.is_file():
            return _numbers(path, classes)
    return None


def _numbers(path: Path, classes: int) -> Part:
    """Read lines of numbers, the last of each a label."""
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: expected numbers with commas between: {error}") from error
    x, labels = table[:, :-1], table[:, -1]
    if not (np.isfinite(x).all() and np.isin(labels, range(classes)).all()):
        raise InputError(f"{path}: expected finite numbers, and labels 0 to {classes - 1}")
    return x, labels.astype(np.int64)
