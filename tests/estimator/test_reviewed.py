"""What users may do besides: weights of their own, odd labels, batches, options that change."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import xpmlp
from tests.estimator.problems import distance, make

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 1}
EARLY = {"early_stopping": True, "learning_rate_init": 0.01, "n_iter_no_change": 50}


def data(kind="binary"):
    return make(kind)


@pytest.mark.parametrize("early", [{}, EARLY])
@pytest.mark.parametrize("in_place", [True, False])
def test_training_goes_on_from_weights_that_somebody_set(in_place, early):
    x, y = data()
    models = [xpmlp.MLPClassifier(**COMMON, **early, warm_start=True).fit(x, y) for _ in "ab"]
    for model in models:
        zeros = [np.zeros_like(W) for W in model.coefs_]
        if in_place:
            for W in model.coefs_:
                W[:] = 0.0
        else:
            model.coefs_ = zeros
    models[0].set_params(learning_rate_init=1e-12, early_stopping=False).fit(x, y)
    assert abs(models[0].coefs_[0]).max() < 1e-9
    models[1].set_params(early_stopping=False).partial_fit(x, y)
    assert 0.0 < abs(models[1].coefs_[1]).max() < 0.1


def test_early_stopping_that_is_switched_off_goes_on_from_the_best():
    x, y = data("multiclass")
    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY, "max_iter": 40}, warm_start=True).fit(x, y)
    best = copy.deepcopy(model)
    model.set_params(early_stopping=False, learning_rate_init=1e-12, max_iter=1).fit(x, y)
    assert distance(model, best) < 1e-9


@pytest.mark.parametrize("rows", [90, 1])
def test_a_single_class_is_what_is_predicted(rows):
    x, _ = data()
    for label in (0, "only"):
        model = xpmlp.MLPClassifier(**COMMON).fit(x[:rows], np.full(rows, label))
        assert set(model.predict(x)) == {label}


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("binary", "up", "`y_val` has classes not in"),
        ("binary", 7, "`y_val` has classes not in"),
        ("multilabel", 1, "`y_val` must have 0 or 1 for each label"),
    ],
)
def test_labels_that_validate_must_be_known(kind, labels, message):
    x, y = data(kind)
    with pytest.raises(ValueError, match=message):
        xpmlp.MLPClassifier(**COMMON).fit(x, y, X_val=x, y_val=np.full(90, labels))


def test_a_failed_fit_leaves_what_was():
    x, y = data()
    model = xpmlp.MLPClassifier(**COMMON).fit(x, y)
    before = model.predict(x)
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        model.fit(x[:, :3], np.arange(90) % 3, X_val=x)
    np.testing.assert_array_equal(model.predict(x), before)
    values = xpmlp.MLPRegressor(**COMMON).fit(x, x[:, 0])
    before = values.predict(x)
    with pytest.raises(ValueError, match="loss 'poisson' needs y >= 0"):
        values.set_params(loss="poisson").fit(x, x[:, 0])
    np.testing.assert_array_equal(values.predict(x), before)


def test_sparse_labels_give_sparse_predictions():
    x, y = data("multilabel")
    sparse = csr_array(y)
    ours, theirs = (
        module.MLPClassifier(**COMMON).fit(x, sparse) for module in (xpmlp, neural_network)
    )
    assert type(ours.predict(x)) is type(theirs.predict(x))
    np.testing.assert_array_equal(ours.predict(x).toarray(), theirs.predict(x).toarray())
    dense = xpmlp.MLPClassifier(**COMMON).fit(x, y)
    assert distance(ours, dense) == 0.0
    known = {"classes": ours.classes_}
    assert xpmlp.MLPClassifier(**COMMON).partial_fit(x, sparse, **known).t_ == 90


def test_batches_that_differ_need_rows_that_validate():
    x, y = data("multiclass")
    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY})
    model.partial_fit(x[:45], y[:45], classes=["low", "middle", "up"])
    with pytest.raises(ValueError, match="early stopping compares scores of the same rows"):
        model.partial_fit(x[45:], y[45:])
    held = {"X_val": x[60:], "y_val": y[60:]}
    for first in (0, 20, 40):
        model.partial_fit(x[first : first + 20], y[first : first + 20], **held)
    assert len(model.validation_scores_) == 4


def test_another_score_does_not_compete_with_the_last():
    x, y = data("multiclass")
    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY, "max_iter": 5}, warm_start=True).fit(x, y)
    model.set_params(scoring="neg_log_loss").fit(x, y)
    assert model.best_validation_score_ == max(model.validation_scores_[5:]) < 0
    assert model.n_iter_ == 5


def test_another_solver_keeps_the_history():
    x, y = data()
    model = xpmlp.MLPClassifier(**COMMON, warm_start=True).fit(x, y)
    model.set_params(solver="sgd").fit(x, y)
    assert (len(model.loss_curve_), model.t_) == (6, 540)


def test_numpys_booleans_are_booleans():
    x, y = data()
    search = GridSearchCV(
        xpmlp.MLPClassifier(**COMMON), {"early_stopping": np.array([True, False])}, cv=2
    )
    assert search.fit(x, y).best_score_ > 0


def test_a_class_that_a_dict_leaves_out_weighs_one():
    x, y = data("multiclass")
    model = xpmlp.MLPClassifier(**COMMON, class_weight={"low": 5.0})
    model.partial_fit(x, y, classes=np.unique(y))
    model.partial_fit(x[y != "low"], y[y != "low"])
    both = xpmlp.MLPClassifier(**COMMON, class_weight={"low": 5.0, "middle": 1.0, "up": 1.0})
    assert (
        distance(xpmlp.MLPClassifier(**COMMON, class_weight={"low": 5.0}).fit(x, y), both.fit(x, y))
        == 0
    )
    for wrong, message in (({"lo": 2.0}, "class_weight names"), ({"low": -1.0}, "0 or more")):
        with pytest.raises(ValueError, match=message):
            xpmlp.MLPClassifier(**COMMON, class_weight=wrong).fit(x, y)


def test_rows_that_validate_count_by_their_own_weights_alone():
    """Held out here, or the same rows given: classes weigh in training only."""
    x, y = data()
    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY}, class_weight={"low": 9.0}).fit(x, y)
    held = model._progress.split.validation
    assert model.best_validation_score_ == model.score(x[held], y[held])


@pytest.mark.parametrize("scoring", ["adjusted_rand_score", "neg_log_loss", "roc_auc_ovr"])
def test_scores_that_take_weights_and_those_that_dont(scoring):
    x, y = data("multiclass")
    weights = np.random.default_rng(0).random(90) + 0.1
    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY}, scoring=scoring).fit(x, y, weights)
    assert len(model.validation_scores_) == 3


def test_lbfgs_that_finds_nothing_finite_warns():
    x, y = data("regression")
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        xpmlp.MLPRegressor(**COMMON, solver="lbfgs").fit(1e200 * x, y)


def test_what_has_no_epochs_takes_no_rows_that_validate():
    x, y = data()
    with pytest.raises(ValueError, match="need solver sgd or adam"):
        xpmlp.MLPClassifier(**COMMON, solver="lbfgs").fit(x, y, X_val=x, y_val=y)


def test_the_loss_stays_where_a_training_goes_on():
    x, y = data("regression")
    model = xpmlp.MLPRegressor(**COMMON, warm_start=True).fit(x, y)
    with pytest.raises(ValueError, match="the loss can't change"):
        model.set_params(loss="huber").fit(x, y)


def test_an_interrupt_is_no_convergence():
    x, y = data()
    calls = []

    def interrupting(net, X, y_true):
        calls.append(len(X))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return 0.5

    model = xpmlp.MLPClassifier(**{**COMMON, **EARLY, "max_iter": 9}, scoring=interrupting)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(x, y)
    assert not model.converged_
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 2
