"""Estimators that begin with known weights, and keep some of them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs

from xpmlp import MLPClassifier, MLPRegressor
from xpmlp.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SOLVERS = ("sgd", "adam", "lbfgs")


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:400] / 16, y[:400]


@pytest.fixture(scope="module")
def known(digits):
    x, y = digits
    with pytest.warns(ConvergenceWarning):
        return Theirs((16, 8), max_iter=30, random_state=0).fit(x[y < 5], y[y < 5])


def layers(net):
    return list(zip(net.coefs_, net.intercepts_, strict=True))


@pytest.mark.parametrize("solver", SOLVERS)
def test_frozen_layers_stay_and_the_others_learn(digits, known, solver):
    x, y = digits
    net = MLPClassifier((16, 8), initial=known, freeze=1, solver=solver, max_iter=10)
    net.fit(x[y >= 5], y[y >= 5])
    np.testing.assert_array_equal(net.coefs_[0], known.coefs_[0])
    np.testing.assert_array_equal(net.intercepts_[0], known.intercepts_[0])
    assert not np.array_equal(net.coefs_[1], known.coefs_[1])


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_rest_is_scikit_learns_net_on_what_they_hand_on(digits, known, solver):
    """A frozen first layer is a fixed map of the rows, so scikit-learn can train the rest."""
    x, y = digits
    begin, keep = layers(known), {"solver": solver, "max_iter": 5, "shuffle": False, "alpha": 0.01}
    net = MLPClassifier((16, 8), initial=begin, freeze=1, **keep)
    net.fit(x[y < 5], y[y < 5])

    class Begun(Theirs):
        def _init_coef(self, fan_in, fan_out, dtype):
            super()._init_coef(fan_in, fan_out, dtype)
            W, b = next(rest)
            return W.copy(), b.copy()

    rest = iter(begin[1:])
    behind = np.maximum(x @ known.coefs_[0] + known.intercepts_[0], 0)
    theirs = Begun((8,), **keep).fit(behind[y < 5], y[y < 5])
    for ours, other in zip(net.coefs_[1:], theirs.coefs_, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12)


def test_another_last_layer_is_drawn_and_that_is_said(digits, known):
    net = MLPClassifier((16, 8), initial=layers(known), max_iter=1)
    with pytest.warns(UserWarning, match=r"the first 2 layers have .* W \(8, 5\) there and W \(8"):
        net.fit(*digits)


def test_freezing_changes_where_a_fit_goes_on(digits, known):
    x, y = digits
    net = MLPClassifier((16, 8), initial=layers(known), warm_start=True, max_iter=2, freeze=2)
    net.fit(x[y < 5], y[y < 5])
    first = net.coefs_[0].copy()
    np.testing.assert_array_equal(first, known.coefs_[0])
    net.set_params(freeze=0).fit(x[y < 5], y[y < 5])
    assert not np.array_equal(net.coefs_[0], first)


def test_a_search_over_the_layers_that_are_frozen(digits, known):
    x, y = digits
    net = MLPClassifier((16, 8), initial=layers(known), max_iter=3)
    search = GridSearchCV(net, {"freeze": [0, 2]}, cv=2).fit(x[y < 5], y[y < 5])
    assert len(search.cv_results_["mean_test_score"]) == 2


def test_a_clone_of_a_fitted_estimator_is_empty_and_that_is_said(digits, known):
    net = clone(MLPClassifier((16, 8), initial=known))
    with pytest.raises(InputError, match=r"not fitted; .* give list\(zip\(net.coefs_"):
        net.fit(*digits)


@pytest.mark.parametrize(("freeze", "said"), [(3, "freeze is 3; .* from 0 to 2"), (-1, "'freeze'")])
def test_what_can_not_be_frozen(digits, freeze, said):
    for kind in (MLPClassifier, MLPRegressor):
        with pytest.raises(ValueError, match=said):
            kind(hidden_layer_sizes=(16, 8), freeze=freeze).fit(*digits)
