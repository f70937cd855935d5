"""scikit-learn's searches over parameters, with the nets of all candidates and folds in one pack.

They are scikit-learn's classes, whose `fit` makes a list of fits and hands it to its `Parallel`.
Here it goes to a `Pack`; candidates, folds, scores and results stay scikit-learn's own.
"""

from inspect import unwrap
from types import FunctionType
from typing import Any

from sklearn import model_selection
from sklearn.base import _fit_context
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection._search import BaseSearchCV

from xpmlp.search.packing import Pack


def handing_to(function: Any, name: str, other: Any) -> Any:
    """Return a function that takes another object where it looks up a global name."""
    plain = unwrap(function)
    assert name in plain.__code__.co_names, f"{plain.__qualname__} uses no {name}"
    names = {**plain.__globals__, name: other}
    return FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__)


class PackedSearch(BaseSearchCV):  # type: ignore[misc]
    """What the searches share: the `fit` of scikit-learn's, which hands its fits to a pack."""

    _fit_in_a_pack = staticmethod(handing_to(BaseSearchCV.fit, "Parallel", Pack))

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> "PackedSearch":
        """Search on X (N, D), y (N,) or (N, O), and return self.

        params: of the estimator's `fit`, as sample_weight, and groups of the rows. Raises what
        scikit-learn's searches raise.
        """
        searched: PackedSearch = self._fit_in_a_pack(self, X, y, **params)
        return searched


class GridSearchCV(model_selection.GridSearchCV, PackedSearch):  # type: ignore[misc]
    """scikit-learn's search over all points of a grid, that trains nets side by side.

    Parameters, attributes and results are those of scikit-learn's class of that name. Where the
    estimator is an `xpmlp.MLPClassifier` or `xpmlp.MLPRegressor`, or a Pipeline that ends in one,
    the nets of all candidates and folds train side by side, each as if alone, up to rounding.
    Fits that can't be among them (the solver lbfgs, callbacks, other estimators) go through
    scikit-learn's own loop, with `n_jobs` processes, which a UserWarning tells once.

    Times in `cv_results_`: what a pack took, in equal shares. With `random_state=None` the nets
    draw from NumPy's generator in another order than one by one.
    """


class RandomizedSearchCV(model_selection.RandomizedSearchCV, PackedSearch):  # type: ignore[misc]
    """scikit-learn's search over points drawn at random, as `GridSearchCV` is that of a grid."""


class HalvingGridSearchCV(model_selection.HalvingGridSearchCV, PackedSearch):  # type: ignore[misc]
    """scikit-learn's search by successive halving of a grid; each round is a pack of its own."""


class HalvingRandomSearchCV(
    model_selection.HalvingRandomSearchCV,  # type: ignore[misc]
    PackedSearch,
):
    """scikit-learn's search by successive halving of points drawn at random, in packs."""
