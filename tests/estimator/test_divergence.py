"""A loss that leaves the numbers after good epochs: early stopping keeps the best of them."""

import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make

COMMON = {
    "hidden_layer_sizes": (9,),
    "solver": "sgd",
    "momentum": 0.0,
    "batch_size": 32,
    "random_state": 3,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "n_iter_no_change": 100,
    "learning_rate_init": 1.0,
}
# The penalty drives weights of classes out of the numbers, and the errors those of values.
BY_PENALTY = {"alpha": 400.0}
BY_ERRORS = {"hidden_layer_sizes": (30,), "momentum": 0.9, "learning_rate_init": 0.5}
KEPT = "no longer finite in epoch {}, .* validation score .* are kept"
ERROR = "Solver produced non-finite parameter weights"


def parameters_of(kind):
    return {**COMMON, **(BY_ERRORS if "value" in kind or kind == "regression" else BY_PENALTY)}


def diverging(kind, **parameters):
    x, y = make(kind, 150)
    return estimator(xpmlp, kind, **{**parameters_of(kind), **parameters}), x, y


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_epoch_is_kept_as_scikit_learn_keeps_it(kind):
    """scikit-learn goes on with NaN to the last epoch; here training ends with the numbers."""
    ours, x, y = diverging(kind)
    with pytest.warns(ConvergenceWarning, match=KEPT.format(r"\d+")):
        ours.fit(x, y)
    theirs = estimator(neural_network, kind, **parameters_of(kind))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x, y)
    assert distance(ours, theirs) < 1e-9
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    assert 1 < ours.n_iter_ < theirs.n_iter_
    assert len(ours.loss_curve_) == len(ours.validation_scores_) == ours.n_iter_
    for figures in (ours.loss_curve_, ours.validation_scores_):
        assert np.isfinite(figures[:-1]).all()
        assert np.isnan(figures[-1])
    assert np.isnan(ours.loss_)
    assert ours.t_ == ours.n_iter_ * 120
    best = int(np.nanargmax(ours.validation_scores_)) + 1
    expected = theirs.validation_scores_[:best]
    np.testing.assert_allclose(ours.validation_scores_[:best], expected, rtol=1e-9)
    assert ours.best_validation_score_ == np.nanmax(ours.validation_scores_)
    assert not ours.converged_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_grid_search_has_a_score_of_it():
    model, x, y = diverging("several values")
    search = GridSearchCV(model, {"learning_rate_init": [0.1, 0.5]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(x, y).cv_results_["mean_test_score"]).all()


def test_rows_and_a_score_of_ones_own_keep_the_best_too():
    model, x, y = diverging("multiclass", scoring="f1_macro")
    with pytest.warns(ConvergenceWarning, match=KEPT.format(r"\d+")):
        model.fit(x[:110], y[:110], X_val=x[110:], y_val=y[110:])
    assert model.best_validation_score_ == np.nanmax(model.history_["validation_score"])


def test_a_warm_start_that_diverges_keeps_the_best_of_before_and_can_go_on():
    model, x, y = diverging("regression", learning_rate_init=0.1, max_iter=5, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(x, y)
    before = [W.copy() for W in model.coefs_]
    model.set_params(learning_rate_init=1e9)
    with pytest.warns(ConvergenceWarning, match=KEPT.format(6) + ".*below 1e[+]09"):
        model.fit(x, y)
    assert model.n_iter_ == 1
    for kept, best in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(kept, best)
    model.set_params(learning_rate_init=0.1)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(x, y)
    np.testing.assert_array_equal(np.isnan(model.loss_curve_), np.arange(11) == 5)


def test_what_follows_a_divergence_goes_on_from_the_best():
    model, x, y = diverging("regression", learning_rate_init=0.01, max_iter=5, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(x, y)
    model.set_params(learning_rate_init=0.5)
    with pytest.warns(ConvergenceWarning, match=KEPT.format(r"\d+") + ".*below 0[.]5"):
        model.fit(x, y)
    assert model.n_iter_ > 1, "else the weights were not lost before the last epoch"
    kept = model.best_validation_score_
    model.set_params(learning_rate_init=0.01)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(x, y)
    assert model.n_iter_ == 5
    assert model.best_validation_score_ > kept


@pytest.mark.parametrize("kind", ["multiclass", "several values"])
def test_partial_fits_that_diverge_keep_the_best_and_come_to_an_end(kind):
    model, x, y = diverging(kind, n_iter_no_change=60)
    known = {"classes": np.unique(y)} if kind == "multiclass" else {}
    held, calls = {"X_val": x[110:], "y_val": y[110:]}, 0
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        while calls < 400 and not getattr(model, "converged_", False):
            model.partial_fit(x[:110], y[:110], **known, **held)
            calls += 1
    assert model.converged_
    assert len(model.loss_curve_) == calls
    assert np.isnan(model.loss_curve_).sum() == len(seen) > 0
    assert {warning.category for warning in seen} == {ConvergenceWarning}
    assert model.best_validation_score_ == np.nanmax(model.validation_scores_)
    assert model.score(x[110:], y[110:]) == pytest.approx(model.best_validation_score_)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_without_a_best_epoch_it_is_an_error(early_stopping):
    model, x, y = diverging("several values", early_stopping=early_stopping)
    model.set_params(learning_rate_init=1e300)
    with pytest.raises(ValueError, match=ERROR):
        model.fit(x, y)
    with pytest.raises(ValueError, match=ERROR):
        estimator(xpmlp, "several values", **model.get_params()).partial_fit(x, y)
