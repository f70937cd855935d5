"""The estimators of ensembles: scikit-learn's checks, and what they add to them."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import xpmlp
from tests.estimator.problems import KINDS, make

SMALL = {
    "n_members": 4,
    "max_iter": 4,
    "random_state": 0,
    "ranges": {"hidden": [(8,)], "dropout": [0.0], "label_smoothing": [0.0], "l2_zeros": 0.0},
}
QUICK = SMALL | {"n_members": 2, "max_iter": 12}
QUICK["ranges"] = SMALL["ranges"] | {"learning_rate": (1e-2, 3e-2)}
ESTIMATORS = (xpmlp.MLPEnsembleClassifier, xpmlp.MLPEnsembleRegressor)
# Which rows select goes by their number and by chance: a row of weight 2 is not the same twice.
BY_CHANCE = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
NOT_HERE = {
    "check_array_api_input",
    "check_array_api_mixed_inputs",
    "check_array_api_same_namespace",
    "check_classifiers_multilabel_output_format_decision_function",
}


def fitted(kind, **parameters):
    x, y = make(kind)
    values = kind in ("regression", "several values")
    return ESTIMATORS[values](**SMALL | parameters).fit(x, y), x, y


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_check_passes(kind):
    results = check_estimator(kind(**QUICK), on_fail=None, on_skip=None)
    other = {r["check_name"]: r["exception"] for r in results if r["status"] != "passed"}
    assert set(other) <= BY_CHANCE | NOT_HERE, other
    assert len(results) >= 55


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_the_nets_selected(kind):
    estimator, x, y = fitted(kind)
    nets, shares = estimator.ensemble_.nets, estimator.ensemble_.shares
    each = [net.astype("float64").predict_outputs(x) for net in nets]
    mean = np.tensordot(shares, each, 1)
    found = estimator._outputs(x)
    np.testing.assert_allclose(found, mean, rtol=1e-9, atol=1e-12)
    deviation = np.sqrt(np.tensordot(shares, (np.array(each) - mean) ** 2, 1))
    np.testing.assert_allclose(
        estimator.spread(x).reshape(found.shape), deviation, rtol=1e-6, atol=1e-9
    )
    assert estimator.predict(x).shape == y.shape
    assert estimator.selected_.shape == (4,)
    assert [row["count"] for row in estimator.members_] == estimator.selected_.tolist()
    assert len(estimator.history_["validation_loss"]) == estimator.n_iter_


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_the_same_random_state_gives_the_same_bits_also_pickled_and_sparse(kind):
    one, x, y = fitted(kind)
    expected = one._outputs(x)
    np.testing.assert_array_equal(clone(one).fit(x, y)._outputs(x), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one))._outputs(x), expected)
    np.testing.assert_array_equal(clone(one).fit(csr_array(x), y)._outputs(csr_array(x)), expected)
    other = clone(one).set_params(random_state=1).fit(x, y)
    assert not np.array_equal(other._outputs(x), expected)


def test_one_member_is_an_ensemble_of_one():
    estimator, x, _ = fitted("binary", n_members=1)
    assert estimator.selected_.tolist() == [1] or len(estimator.ensemble_.nets) == 1
    np.testing.assert_array_equal(estimator.spread(x), np.zeros((len(x), 2)))


def test_it_learns_and_an_ensemble_is_no_worse_than_chance():
    estimator, x, y = fitted("multiclass", max_iter=60)
    assert estimator.score(x, y) > 0.7
    values, x, y = fitted("regression", max_iter=100)
    assert values.score(x, y) > 0.8


def test_values_come_in_their_own_units():
    x, y = make("regression")
    one = xpmlp.MLPEnsembleRegressor(**SMALL).fit(x, y)
    other = xpmlp.MLPEnsembleRegressor(**SMALL).fit(1000.0 * x - 7.0, 1e6 * y + 3e6)
    np.testing.assert_allclose(
        other.predict(1000.0 * x - 7.0), 1e6 * one.predict(x) + 3e6, rtol=0, atol=1e3
    )


def test_weights_of_classes_and_rows_count():
    x, y = make("binary")
    plain = xpmlp.MLPEnsembleClassifier(**SMALL).fit(x, y)
    doubled = xpmlp.MLPEnsembleClassifier(**SMALL).fit(x, y, np.where(y == "low", 9.0, 1.0))
    classes = {"low": 9.0}
    same = xpmlp.MLPEnsembleClassifier(**SMALL, class_weight=classes).fit(x, y)
    np.testing.assert_array_equal(same.predict_proba(x), doubled.predict_proba(x))
    low = list(plain.classes_).index("low")
    assert same.predict_proba(x)[:, low].mean() > plain.predict_proba(x)[:, low].mean() + 0.05
    few = np.arange(len(y)) < 60
    some = xpmlp.MLPEnsembleClassifier(**SMALL).fit(x, y, few.astype(float))
    same = xpmlp.MLPEnsembleClassifier(**SMALL).fit(x[few], y[few], np.ones(60))
    np.testing.assert_array_equal(some.predict_proba(x), same.predict_proba(x))


def test_rows_to_select_by_can_be_given():
    x, y = make("multiclass")
    estimator = xpmlp.MLPEnsembleClassifier(**SMALL).fit(x[:60], y[:60], X_val=x[60:], y_val=y[60:])
    p = estimator.predict_proba(x[60:])
    truth = p[np.arange(30), np.searchsorted(estimator.classes_, y[60:])]
    assert min(estimator.history_["validation_loss"]) == pytest.approx(
        -np.log(truth).mean(), rel=1e-5
    )


def test_a_saved_one_predicts_the_same(tmp_path):
    estimator, x, _ = fitted("multiclass")
    estimator.save(tmp_path / "model.safetensors")
    model = xpmlp.Ensemble.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(model.predict_outputs(x), estimator.predict_proba(x), atol=1e-5)
    assert model.class_names == tuple(estimator.classes_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_members": 0}, "n_members"),
        ({"scale": "log"}, "scale"),
        ({"ranges": {"depth": (1, 2)}}, "depth"),
        ({"ranges": 3}, "ranges"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
    ],
)
def test_what_can_not_be_is_refused(parameters, message):
    x, y = make("binary", 20)
    with pytest.raises(ValueError, match=message):
        xpmlp.MLPEnsembleClassifier(**SMALL | parameters).fit(x, y)


def test_a_row_to_train_on_and_one_to_select_by_are_needed():
    with pytest.raises(ValueError, match="1 sample"):
        xpmlp.MLPEnsembleRegressor(**SMALL).fit([[1.0]], [2.0])
    few = xpmlp.MLPEnsembleRegressor(**SMALL).fit([[1.0], [2.0]], [2.0, 3.0])
    assert np.isfinite(few.predict([[1.5]])).all()


def test_it_prints_a_line_an_epoch(capsys):
    fitted("binary", verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("epoch 1: validation loss ")
