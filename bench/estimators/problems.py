"""What both libraries train: data sets, their rows, and the same settings for both."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.cases import mnist_files
from xpmlp.errors import DataUnavailableError, unknown_name

if TYPE_CHECKING:
    import numpy as np

RATES = {"sgd": 0.1, "adam": 0.001}
TEST_SHARE = 0.25
NO_MNIST = "MNIST is not on this machine; name its folder: XPMLP_DATA_DIR=DIR, for DIR/mnist/…"


@dataclass(frozen=True)
class Problem:
    """A data set and the settings for it; what is not named here is as scikit-learn has it.

    loader: the name of scikit-learn's function; "" for MNIST. batch_size: None for "auto".
    """

    name: str
    loader: str = ""
    hidden: tuple[int, ...] = (100,)
    max_iter: int = 200
    batch_size: int | None = None

    def with_epochs(self, epochs: int | None) -> "Problem":
        """Return the problem with at most so many epochs; None leaves them."""
        return replace(self, max_iter=epochs or self.max_iter)

    def parameters(self, solver: str, seed: int) -> dict[str, Any]:
        """Return the parameters of an estimator of either library."""
        return {
            "hidden_layer_sizes": self.hidden,
            "solver": solver,
            "learning_rate_init": RATES[solver],
            "max_iter": self.max_iter,
            "batch_size": self.batch_size or "auto",
            "random_state": seed,
        }


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("iris", "load_iris"),
        Problem("breast cancer", "load_breast_cancer"),
        Problem("digits", "load_digits"),
        Problem("mnist", max_iter=10, batch_size=200),
    )
}


class Parts(NamedTuple):
    """Scaled rows (N, D) and classes (N,) to train and to test."""

    x_train: "np.ndarray"
    y_train: "np.ndarray"
    x_test: "np.ndarray"
    y_test: "np.ndarray"


def chosen_problems(names: list[str] | None, epochs: int | None) -> list[Problem]:
    """Return the problems of these names, or all. Raises InputError for an unknown name."""
    for name in names or ():
        if name not in PROBLEMS:
            raise unknown_name("data set", name, PROBLEMS)
    chosen = dict.fromkeys(names or PROBLEMS)
    return [PROBLEMS[name].with_epochs(epochs) for name in chosen]


def make_parts(problem: Problem, dtype: str) -> Callable[[int], Parts]:
    """Return what gives the rows of a seed.

    MNIST has its own split for all seeds, pixels in [0, 1]. Of the others a quarter of each class
    is for the test, drawn by the seed, and columns are standardised by the rows that train.
    Raises DataUnavailableError where MNIST is not on this machine, as nothing is downloaded.
    """
    if not problem.loader:
        whole = _mnist(dtype)
        return lambda _: whole
    from sklearn import datasets

    x, y = getattr(datasets, problem.loader)(return_X_y=True)
    return lambda seed: _split(x, y, seed, dtype)


def _split(x: "np.ndarray", y: "np.ndarray", seed: int, dtype: str) -> Parts:
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    scaler = StandardScaler().fit(x_train)
    x_train, x_test = (scaler.transform(part).astype(dtype) for part in (x_train, x_test))
    return Parts(x_train, y_train, x_test, y_test)


def _mnist(dtype: str) -> Parts:
    data = load_mnist(dtype, "unit")
    return Parts(data.train.x, data.train.y, data.test.x, data.test.y)


def load_mnist(dtype: str, scale: str) -> Any:
    """Return MNIST's 60,000 and 10,000 rows, none of them for validation.

    Raises DataUnavailableError where they are not on this machine.
    """
    from xpmlp.data.registry import load_dataset

    found = any(mnist_files())
    with suppress(DataUnavailableError):
        if found:
            return load_dataset("mnist", validation=0, scale=scale, dtype=dtype)
    raise DataUnavailableError(NO_MNIST)
