"""What users of scikit-learn's classes asked for there: the numbers are its issues."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score, make_scorer, mean_absolute_error

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make
from xpmlp.nn.activations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (8, 5), "batch_size": 16, "max_iter": 6, "random_state": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_changes_training_and_not_prediction_7407(kind):
    x, y = make(kind)
    plain = estimator(xpmlp, kind, **COMMON).fit(x, y)
    dropping = estimator(xpmlp, kind, **COMMON, dropout=0.4).fit(x, y, X_val=x, y_val=y)
    assert distance(dropping, plain) > 1e-3
    np.testing.assert_array_equal(dropping.predict(x), dropping.predict(x))
    assert dropping.history_["train_score"][-1] == pytest.approx(dropping.score(x, y))
    for same in (0.0, [0.0, 0.0]):
        assert distance(estimator(xpmlp, kind, **COMMON, dropout=same).fit(x, y), plain) == 0.0


def test_dropout_of_one_layer_scales_what_it_keeps():
    """With one hidden unit, an identity, each step has twice its signal or none."""
    x, y = np.ones((1, 1)), np.ones(1)
    parameters = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1e-9, "alpha": 0.0}
    net = xpmlp.MLPRegressor(
        hidden_layer_sizes=(1,),
        activation="identity",
        **parameters,
        dropout=0.5,
        max_iter=40,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(x, y)
    (W1, W2), (b1, b2) = net.coefs_, net.intercepts_
    hidden = (x @ W1 + b1).item()
    losses = [0.5 * (factor * hidden * W2.item() + b2.item() - 1) ** 2 for factor in (0, 2)]
    seen = {min(losses, key=lambda known: abs(known - loss)) for loss in net.loss_curve_}
    assert seen == set(losses)
    assert all(min(abs(np.array(losses) - loss)) < 1e-6 for loss in net.loss_curve_)


@pytest.mark.parametrize("through_a_pickle", [False, True])
def test_dropout_goes_on_as_if_it_had_not_stopped(through_a_pickle):
    x, y = make("multiclass")
    parameters = {**COMMON, "dropout": [0.5, 0.2], "tol": 0.0}
    halves = xpmlp.MLPClassifier(**parameters, warm_start=True).fit(x, y)
    if through_a_pickle:
        halves = pickle.loads(pickle.dumps(halves))
    whole = xpmlp.MLPClassifier(**{**parameters, "max_iter": 12}).fit(x, y)
    assert distance(halves.fit(x, y), whole) == 0.0


def test_dropout_is_the_same_on_every_backend(backend):
    x, y = make("multiclass")
    place = {"backend": backend.name, "device": backend.device}
    here = xpmlp.MLPClassifier(**COMMON, dropout=0.3, **place).fit(x, y)
    assert distance(here, xpmlp.MLPClassifier(**COMMON, dropout=0.3).fit(x, y)) < 1e-9


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 1.0}, r"'dropout' parameter of MLPClassifier must be a float in the range"),
        ({"dropout": [0.1]}, None),
        ({"dropout": [0.1] * 3}, "3 values of dropout for 2 hidden layers"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout needs solver sgd or adam"),
        ({"activation": ["relu"] * 3}, "3 activations for 2 hidden layers"),
        ({"activation": ["relu", "sin"]}, r"one of .* or a list with one per hidden layer"),
        ({"scoring": "f2"}, "'f2'"),
        ({"scoring": 3}, "must be None, the name of a scorer, or a callable"),
        (
            {"early_stopping": True, "scoring": lambda *_: "good"},
            "scoring must give one number, and gave 'good'",
        ),
    ],
)
def test_what_cant_be_is_said(parameters, message):
    model = xpmlp.MLPClassifier(**{**COMMON, **parameters})
    if message is None:
        assert model.fit(*make("binary")).n_iter_ == 6
        return
    with pytest.raises(ValueError, match=message):
        model.fit(*make("binary"))


def test_one_activation_per_layer_10097():
    x, y = make("multiclass")
    model = xpmlp.MLPClassifier(**COMMON, activation=["tanh", "logistic"]).fit(x, y)
    (W1, W2, W3), (b1, b2, b3) = model.coefs_, model.intercepts_
    logits = 1 / (1 + np.exp(-(np.tanh(x @ W1 + b1) @ W2 + b2))) @ W3 + b3
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(x), p, rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["relu", "logistic"])
def test_the_same_activation_named_for_each_layer_is_one_for_all(name, solver):
    x, y = make("binary")
    one = xpmlp.MLPClassifier(**COMMON, solver=solver, activation=name).fit(x, y)
    each = xpmlp.MLPClassifier(**COMMON, solver=solver, activation=[name, name]).fit(x, y)
    assert distance(one, each) == 0.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_learns_9468(name):
    x, y = make("binary")
    parameters = {**COMMON, "max_iter": 30, "learning_rate_init": 0.01}
    model = xpmlp.MLPClassifier(**parameters, activation=name).fit(x, y)
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]


def huber(error):
    return np.where(abs(error) <= 1, error**2 / 2, abs(error) - 0.5)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_a_constant_fits_what_each_loss_asks_for_14571(loss):
    """Without features: the mean, the median, Huber's centre, and of Poisson the mean again."""
    y = np.array([0.0, 0.5, 1.0, 1.5, 9.0])
    centre = minimize_scalar(lambda c: huber(y - c).sum(), bounds=(0, 9), method="bounded").x
    expected = {"absolute_error": 1.0, "huber": centre}.get(loss, y.mean())
    model = xpmlp.MLPRegressor(
        loss,
        hidden_layer_sizes=(),
        learning_rate_init=0.02,
        max_iter=3000,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(np.zeros((5, 1)), y)
    assert model.predict([[0.0]]) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson"])
def test_losses_of_regression_14571(loss):
    """The first step's loss, before any update, is that of the weights that were drawn."""
    x, y = make("several values")
    y = abs(y)
    numbers = {"alpha": 0.0, "batch_size": 90, "random_state": 2}
    model = xpmlp.MLPRegressor(loss, (), **numbers, max_iter=1, solver="sgd", shuffle=False)
    model.fit(x, y, X_val=x, y_val=y)
    draw = np.random.RandomState(2)
    bound = np.sqrt(6 / (6 + 3))
    z = x @ draw.uniform(-bound, bound, (6, 3)) + draw.uniform(-bound, bound, 3)
    error = z - y
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = np.where(y > 0, y * np.log(y), 0) - y * z - y + np.exp(z)
    by_hand = {"absolute_error": abs(error), "huber": huber(error), "poisson": deviance}
    outputs = 1 if loss == "poisson" else 3
    assert model.loss_curve_[0] == pytest.approx(by_hand[loss].sum() / 90 / outputs, rel=1e-12)
    assert model.out_activation_ == ("exp" if loss == "poisson" else "identity")
    assert model.history_["train_score"][-1] == pytest.approx(model.score(x, y))


def test_counts_below_zero_are_refused():
    with pytest.raises(ValueError, match="-1"):
        xpmlp.MLPRegressor("poisson").fit([[0.0], [1.0]], [2.0, -1.0])


def test_early_stopping_by_another_score_24411():
    x, y = make("multiclass", 200)
    train, held = slice(0, 130), slice(130, 200)
    parameters = {**COMMON, "max_iter": 40, "learning_rate_init": 0.01, "early_stopping": True}
    model = xpmlp.MLPClassifier(**parameters, scoring="f1_macro", n_iter_no_change=5)
    model.fit(x[train], y[train], X_val=x[held], y_val=y[held])
    scores = model.validation_scores_
    assert f1_score(y[held], model.predict(x[held]), average="macro") == max(scores)
    assert model.best_validation_score_ == max(scores)
    by_accuracy = xpmlp.MLPClassifier(**parameters, n_iter_no_change=5)
    by_accuracy.fit(x[train], y[train], X_val=x[held], y_val=y[held])
    assert by_accuracy.validation_scores_ != scores


def test_the_scorer_is_handed_the_net_the_rows_and_their_weights():
    x, y = make("regression")
    weights = np.random.default_rng(0).random(len(y)) + 0.1
    seen = []

    def score(net, X, y_true, sample_weight):
        seen.append((X.shape, sample_weight.shape))
        return -mean_absolute_error(y_true, net.predict(X), sample_weight=sample_weight)

    parameters = {**COMMON, "early_stopping": True, "validation_fraction": 0.2}
    model = xpmlp.MLPRegressor(**parameters, scoring=score).fit(x, y, weights)
    assert seen == [((72, 6), (72,)), ((18, 6), (18,))] * 6
    named = make_scorer(mean_absolute_error, greater_is_better=False)
    same = xpmlp.MLPRegressor(**parameters, scoring=named).fit(x, y, weights)
    assert same.history_ == model.history_


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_after_a_fit_that_stopped_early_25693(kind):
    x, y = make(kind)
    model = estimator(xpmlp, kind, **COMMON, early_stopping=True).fit(x, y)
    epochs = len(model.loss_curve_)
    model.partial_fit(x, y)
    assert len(model.validation_scores_) == len(model.loss_curve_) == epochs + 1


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_partial_fits_stop_early_where_a_fit_does_25693(kind, given):
    """Also that partial_fit learns several labels as well as fit does (12505)."""
    x, y = make(kind, 120)
    held = {"X_val": x[90:], "y_val": y[90:]} if given else {}
    parameters = {
        **COMMON,
        "learning_rate_init": 0.02,
        "early_stopping": True,
        "n_iter_no_change": 3,
        "shuffle": False,
        "max_iter": 300,
    }
    whole = estimator(xpmlp, kind, **parameters).fit(x, y, **held)
    assert whole.converged_
    parts = estimator(xpmlp, kind, **parameters)
    known = {"classes": whole.classes_} if hasattr(whole, "classes_") else {}
    while not getattr(parts, "converged_", False):
        parts.partial_fit(x, y, **known, **held)
    assert parts.history_ == whole.history_
    assert distance(parts, whole) == 0.0


def test_whether_it_converged_is_told():
    x, y = make("binary")
    assert not xpmlp.MLPClassifier(**COMMON).fit(x, y).converged_
    parameters = {**COMMON, "solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 1.0}
    assert not xpmlp.MLPClassifier(**{**parameters, "max_iter": 1}).fit(x, y).converged_
    assert xpmlp.MLPClassifier(**{**parameters, "max_iter": 500}).fit(x, y).converged_
