"""With the same random state the estimators take scikit-learn's path, up to rounding."""

import numpy as np
import pytest
import scipy.optimize
from sklearn import neural_network

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make
from xpmlp.estimator import lbfgs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {
    "hidden_layer_sizes": (9, 5),
    "batch_size": 16,
    "max_iter": 25,
    "random_state": 3,
    "alpha": 0.1,
}
SGD = {"solver": "sgd", "learning_rate_init": 0.02}
VARIANTS = {
    "nesterov": SGD,
    "momentum": {**SGD, "nesterovs_momentum": False},
    "plain": {**SGD, "momentum": 0.0, "activation": "logistic", "alpha": 0.0},
    "in order": {**SGD, "shuffle": False, "activation": "tanh"},
    "linear": {**SGD, "hidden_layer_sizes": (), "activation": "identity"},
    "early stopping": {**SGD, "early_stopping": True, "n_iter_no_change": 3, "tol": 0.02},
    "invscaling": {**SGD, "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {**SGD, "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1},
    "adam": {"learning_rate_init": 0.01},
    "adam, early": {"early_stopping": True, "learning_rate_init": 0.01},
    "adam, its numbers": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01},
}


def both(kind, weights=None, rows=90, **parameters):
    x, y = make(kind, rows)
    return [
        estimator(module, kind, **{**COMMON, **parameters}).fit(x, y, sample_weight=weights)
        for module in (xpmlp, neural_network)
    ]


def assert_same(ours, theirs, rounding):
    assert distance(ours, theirs) < rounding
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=rounding)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_solver_by_epochs(kind, variant):
    ours, theirs = both(kind, **VARIANTS[variant])
    assert_same(ours, theirs, 1e-9)
    for name in ("loss_curve_", "validation_scores_"):
        if getattr(theirs, name) is None:
            assert getattr(ours, name) is None
        else:
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    for name in ("best_loss_", "best_validation_score_"):
        expected = getattr(theirs, name)
        near = expected if expected is None else pytest.approx(expected, rel=1e-9)
        assert getattr(ours, name) == near, name


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_row_weights(kind, solver):
    weights = np.random.default_rng(0).random(90) + 0.1
    ours, theirs = both(kind, weights, solver=solver, learning_rate_init=0.02)
    assert_same(ours, theirs, 1e-9)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_lbfgs(kind):
    assert_same(*both(kind, solver="lbfgs"), 1e-9)


@pytest.mark.parametrize("variant", ["nesterov", "adam, early", "lbfgs"])
@pytest.mark.parametrize("kind", ["regression", "several values"])
def test_counts_by_poisson(kind, variant):
    x, y = make(kind)
    counts = np.random.default_rng(0).poisson(np.exp(y / 2))
    weights = np.random.default_rng(1).random(90) + 0.1
    parameters = {**COMMON, "loss": "poisson", **VARIANTS.get(variant, {"solver": "lbfgs"})}
    if variant == "nesterov":
        parameters["learning_rate_init"] = 0.001
    ours, theirs = (
        module.MLPRegressor(**parameters).fit(x, counts, sample_weight=weights)
        for module in (xpmlp, neural_network)
    )
    assert_same(ours, theirs, 1e-8)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-8)


def test_lbfgs_of_several_values_has_the_gradient_of_what_it_minimises(monkeypatch):
    """There scikit-learn's loss is a mean over the outputs, and its gradient that of a sum."""
    seen = []

    def noting(total, start, **options):
        seen.append((total, start))
        return scipy.optimize.minimize(total, start, **options)

    monkeypatch.setattr(lbfgs, "minimize", noting)
    x, y = make("several values")
    xpmlp.MLPRegressor(**COMMON, solver="lbfgs", activation="tanh").fit(x, y)
    ((total, start),) = seen
    direction = np.random.default_rng(0).standard_normal(start.size)
    slope = (total(start + 1e-6 * direction)[0] - total(start - 1e-6 * direction)[0]) / 2e-6
    assert total(start)[1] @ direction == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_have_the_same_form_and_values(kind):
    x, _ = make(kind)
    ours, theirs = both(kind, **SGD)
    methods = ["predict"]
    if "MLPClassifier" in type(ours).__name__:
        methods += ["predict_proba", "predict_log_proba"]
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    for method in methods:
        mine, other = getattr(ours, method)(x), getattr(theirs, method)(x)
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(mine, other, rtol=1e-9)
        else:
            np.testing.assert_array_equal(mine, other)
    _, y = make(kind)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y), rel=1e-9)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit(kind, solver):
    x, y = make(kind)
    models = [
        estimator(module, kind, **COMMON, solver=solver) for module in (xpmlp, neural_network)
    ]
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    for part in (slice(0, 40), slice(40, 90), slice(10, 50)):
        for model in models:
            known = {"classes": classes} if hasattr(model, "predict_proba") else {}
            model.partial_fit(x[part], y[part], **known)
    assert_same(*models, 1e-9)
    assert models[0].t_ == 130


def test_float32_stays_float32():
    x, y = make("multiclass")
    model = xpmlp.MLPClassifier(max_iter=3).fit(x.astype(np.float32), y)
    assert {leaf.dtype for leaf in model.coefs_ + model.intercepts_} == {np.dtype("float32")}
    assert model.predict_proba(x).dtype == np.float32
    forced = xpmlp.MLPClassifier(max_iter=3, dtype="float64").fit(x.astype(np.float32), y)
    assert forced.coefs_[0].dtype == np.float64


def test_verbose_prints_the_same_lines(capsys):
    printed = []
    for module in (xpmlp, neural_network):
        x, y = make("binary")
        parameters = {**COMMON, **VARIANTS["early stopping"], "verbose": True}
        estimator(module, "binary", **parameters).fit(x, y)
        printed.append(capsys.readouterr().out.splitlines())
    assert printed[0] == printed[1]
    assert printed[0][-1].endswith("Stopping.")
