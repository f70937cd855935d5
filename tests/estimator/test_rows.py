"""Weights of rows and classes, rows that validate, the history, bad parameters, sparse rows."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import accuracy_score, r2_score

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (7,), "max_iter": 8, "random_state": 1}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_so_many_equal_rows_and_zero_none(kind, solver):
    x, y = make(kind)
    counts = np.random.default_rng(0).integers(0, 3, len(x))
    weighted = estimator(xpmlp, kind, **COMMON, solver=solver).fit(x, y, sample_weight=counts)
    repeated = estimator(xpmlp, kind, **COMMON, solver=solver)
    repeated.fit(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0))
    assert distance(weighted, repeated) < 1e-7


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(90), "Negative values in data passed to `sample_weight`"),
        (np.zeros(90), "at least one non-zero"),
        (np.ones((90, 1)), "must be 1D array or scalar"),
        (np.ones(89), r"sample_weight.shape == \(89,\), expected \(90,\)"),
        (np.full(90, np.nan), "NaN"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, message):
    x, y = make("binary")
    with pytest.raises(ValueError, match=message):
        xpmlp.MLPClassifier(**COMMON).fit(x, y, sample_weight=weights)


def test_a_scalar_weight_is_none():
    x, y = make("binary")
    plain = xpmlp.MLPClassifier(**COMMON, alpha=0.0).fit(x, y)
    assert distance(xpmlp.MLPClassifier(**COMMON, alpha=0.0).fit(x, y, 3.0), plain) < 1e-9


def test_class_weights_multiply_the_rows_weights():
    x, y = make("multiclass")
    own = np.random.default_rng(0).random(len(y)) + 0.1
    by_class = {"low": 0.5, "middle": 1.0, "up": 3.0}
    rows = own * [by_class[label] for label in y]
    ours = xpmlp.MLPClassifier(**COMMON, class_weight=by_class).fit(x, y, own)
    assert distance(ours, xpmlp.MLPClassifier(**COMMON).fit(x, y, rows)) == 0.0


def test_balanced_classes_weigh_the_same():
    x, y = make("binary")
    rare = np.r_[np.flatnonzero(y == "low"), np.flatnonzero(y == "middle")[:10]]
    n = {label: (y[rare] == label).sum() for label in ("low", "middle")}
    weights = [len(rare) / (2 * n[label]) for label in y[rare]]
    ours = xpmlp.MLPClassifier(**COMMON, class_weight="balanced").fit(x[rare], y[rare])
    theirs = xpmlp.MLPClassifier(**COMMON).fit(x[rare], y[rare], weights)
    assert distance(ours, theirs) == 0.0
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        ours.partial_fit(x, y)


@pytest.mark.parametrize("kind", KINDS)
def test_given_rows_validate(kind):
    x, y = make(kind)
    train, held = slice(0, 60), slice(60, 90)
    parameters = {**COMMON, "learning_rate_init": 0.02, "max_iter": 30, "n_iter_no_change": 4}
    model = estimator(xpmlp, kind, **parameters, early_stopping=True)
    model.fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert model.t_ == 60 * model.n_iter_
    scores = model.history_["validation_score"]
    assert scores == model.validation_scores_
    score = accuracy_score if hasattr(model, "classes_") else r2_score
    assert score(y[held], model.predict(x[held])) == pytest.approx(max(scores))
    assert model.best_validation_score_ == max(scores)


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_is_of_the_weights_after_each_epoch(kind):
    x, y = make(kind)
    model = estimator(xpmlp, kind, **COMMON, alpha=0.0).fit(x, y, X_val=x[:30], y_val=y[:30])
    history = model.history_
    assert {len(values) for values in history.values()} == {model.n_iter_}
    assert history["train_score"][-1] == pytest.approx(model.score(x, y))
    assert history["validation_score"][-1] == pytest.approx(model.score(x[:30], y[:30]))
    np.testing.assert_allclose(history["train_loss"][:-1], history["loss"][1:])
    assert model.validation_scores_ is None
    alone = estimator(xpmlp, kind, **COMMON, alpha=0.0).fit(x, y)
    assert distance(alone, model) == 0.0
    assert alone.history_["loss"] == history["loss"]
    for name in ("train_loss", "train_score", "validation_loss", "validation_score"):
        assert alone.history_[name] == [None] * alone.n_iter_


def test_rows_that_validate_come_with_their_targets():
    x, y = make("binary")
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        xpmlp.MLPClassifier(**COMMON).fit(x, y, X_val=x)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_made_dense(solver):
    x, y = make("binary")
    x = np.where(x > 0.5, x, 0.0)
    dense = xpmlp.MLPClassifier(**COMMON, solver=solver).fit(x, y)
    sparse = xpmlp.MLPClassifier(**COMMON, solver=solver).fit(csr_array(x), y)
    assert distance(dense, sparse) == 0.0
    np.testing.assert_array_equal(dense.predict_proba(x), sparse.predict_proba(csr_array(x)))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("activation", "sin", "one of 'logistic', 'identity'"),
        ("solver", "newton", "one of 'lbfgs', 'sgd', 'adam'"),
        ("alpha", -1, r"a float in the range \[0, inf\)"),
        ("batch_size", 0, "'auto' or an int"),
        ("learning_rate_init", 0.0, r"a float in the range \(0, inf\)"),
        ("max_iter", 2.5, r"an int in the range \[1, inf\)"),
        ("momentum", 1.0, r"a float in the range \[0, 1\)"),
        ("n_iter_no_change", -1, "inf or an int"),
        ("class_weight", "even", "'balanced', a dict"),
        ("early_stopping", "yes", "a bool"),
        ("compile", "maybe", "one of 'auto', 'never', 'always'"),
        ("threads", 0, r"None or an int in the range \[1, inf\)"),
        ("dtype", "float16", "one of 'auto', 'float32', 'float64'"),
    ],
)
def test_a_bad_parameter_is_named_with_what_it_must_be(name, value, expected):
    x, y = make("binary")
    model = xpmlp.MLPClassifier(**{name: value})
    message = f"The '{name}' parameter of MLPClassifier must be .*{expected}.*Got {value!r} instead"
    with pytest.raises(ValueError, match=message):
        model.fit(x, y)


def test_losses_devices_and_widths_are_checked_too():
    x, y = make("regression")
    with pytest.raises(ValueError, match="'loss' parameter of MLPRegressor must be one of 'squ"):
        xpmlp.MLPRegressor(loss="log_loss").fit(x, y)
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        xpmlp.MLPRegressor(device="tpu").fit(x, y)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[3, 0\]"):
        xpmlp.MLPRegressor(hidden_layer_sizes=(3, 0)).fit(x, y)
    with pytest.raises(ValueError, match="validation set is too small"):
        xpmlp.MLPRegressor(early_stopping=True, validation_fraction=0.01).fit(x, y)


def test_other_activations_of_xpmlp_are_there():
    x, y = make("binary")
    assert xpmlp.MLPClassifier(**COMMON, activation="gelu").fit(x, y).n_iter_ == 8


def test_a_batch_larger_than_the_rows_is_clipped():
    x, y = make("binary")
    with pytest.warns(UserWarning, match="larger than the sample size, 90"):
        clipped = xpmlp.MLPClassifier(**COMMON, batch_size=91).fit(x, y)
    assert distance(clipped, xpmlp.MLPClassifier(**COMMON, batch_size=90).fit(x, y)) == 0.0


def test_a_missing_gpu_is_a_warning():
    x, y = make("binary")
    with pytest.warns(RuntimeWarning, match="no CUDA"):
        model = xpmlp.MLPClassifier(**COMMON, device="cuda").fit(x, y)
    with pytest.warns(RuntimeWarning, match="no CUDA"):
        model.predict(x)


def test_weights_that_left_the_numbers_in_the_last_step_are_refused():
    """No loss shows it: the only step's loss is that before its update."""
    x, y = make("regression")
    model = xpmlp.MLPRegressor(
        hidden_layer_sizes=(3,), solver="sgd", learning_rate_init=1e308, max_iter=1
    )
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(1e10 * x, y)
