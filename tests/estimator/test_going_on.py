"""`warm_start`, `partial_fit`, pickles, interrupts: a training that stops and goes on."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make
from xpmlp.training.members import Members
from xpmlp.training.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (7,), "batch_size": 16, "random_state": 1, "tol": 0.0}
VARIANTS = {
    "adam": {},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.02},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.05,
        "n_iter_no_change": 2,
        "learning_rate_init": 0.1,
    },
    "early": {"early_stopping": True, "learning_rate_init": 0.01, "n_iter_no_change": 20},
    "generator": {"random_state": np.random.RandomState(5)},
}


def assert_equal(one, other):
    assert distance(one, other) == 0.0
    assert one.history_ == other.history_
    for name in ("t_", "loss_", "best_loss_", "best_validation_score_", "validation_scores_"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("through_a_pickle", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_ten_and_ten_epochs_are_twenty(kind, variant, through_a_pickle):
    x, y = make(kind)
    parameters = copy.deepcopy({**COMMON, **VARIANTS[variant]})
    whole = estimator(xpmlp, kind, **copy.deepcopy(parameters), max_iter=20).fit(x, y)
    halves = estimator(xpmlp, kind, **parameters, max_iter=10, warm_start=True).fit(x, y)
    if through_a_pickle:
        halves = pickle.loads(pickle.dumps(halves))
    halves.fit(x, y)
    assert (whole.n_iter_, halves.n_iter_) == (20, 10)
    assert_equal(halves, whole)


def test_another_backend_goes_on_too(backend):
    x, y = make("multiclass")
    parameters = {**COMMON, "backend": backend.name, "device": backend.device, "max_iter": 4}
    halves = xpmlp.MLPClassifier(**parameters, warm_start=True).fit(x, y).fit(x, y)
    whole = xpmlp.MLPClassifier(**COMMON, max_iter=8).fit(x, y)
    assert distance(halves, whole) < 1e-9
    np.testing.assert_allclose(halves.predict_proba(x), whole.predict_proba(x), rtol=1e-9)


def test_another_first_rate_counts_from_there_on():
    x, y = make("binary")
    model = xpmlp.MLPClassifier(**COMMON, max_iter=3, warm_start=True).fit(x, y)
    same = pickle.loads(pickle.dumps(model)).fit(x, y)
    other = model.set_params(learning_rate_init=0.1).fit(x, y)
    assert other.loss_curve_[:3] == same.loss_curve_[:3]
    assert distance(other, same) > 0.1


def test_without_warm_start_a_fit_begins_anew():
    x, y = make("binary")
    model = xpmlp.MLPClassifier(**COMMON, max_iter=3)
    first = pickle.loads(pickle.dumps(model.fit(x, y)))
    assert_equal(model.fit(x, y), first)


def test_another_solver_goes_on_from_the_weights():
    x, y = make("regression")
    model = xpmlp.MLPRegressor(**COMMON, solver="lbfgs", max_iter=50, warm_start=True).fit(x, y)
    loss = model.loss_
    assert not hasattr(model, "loss_curve_")
    model.set_params(solver="adam", max_iter=2).fit(x, y)
    assert model.loss_curve_[0] < 2 * loss + 0.01
    model.set_params(solver="lbfgs", max_iter=50).fit(x, y)
    assert model.loss_ < loss
    assert not hasattr(model, "loss_curve_")


def test_a_pickle_holds_numpy_arrays_alone():
    jax = pytest.importorskip("jax")
    x, y = make("binary")
    model = xpmlp.MLPClassifier(**COMMON, backend="jax").partial_fit(x, y, classes=np.unique(y))
    seen = []

    class Noting(pickle.Pickler):
        def persistent_id(self, item):
            seen.append(item)

    Noting(io.BytesIO()).dump(model)
    assert any(isinstance(item, np.ndarray) for item in seen)
    assert not any(isinstance(item, jax.Array) for item in seen)


def test_partial_fit_compiles_a_step_once():
    x, y = make("regression")
    model = xpmlp.MLPRegressor(**COMMON).partial_fit(x[:32], y[:32])
    step = model._problem.step
    for _ in range(3):
        model.partial_fit(x[32:64], y[32:64])
        assert model._problem.step is step
    model.set_params(alpha=0.0).partial_fit(x, y)
    assert model._problem.step is not step


def test_an_interrupt_keeps_the_epochs_that_ended(monkeypatch):
    epochs = Members.epochs

    def interrupted(self):
        for records in epochs(self):
            yield records
            if records[0].epoch == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(Members, "epochs", interrupted)
    x, y = make("binary")
    model = xpmlp.MLPClassifier(**COMMON, max_iter=9)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(x, y)
    monkeypatch.undo()
    three = xpmlp.MLPClassifier(**COMMON, max_iter=3).fit(x, y)
    assert model.n_iter_ == 3
    assert_equal(model, three)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("at", [0, 2])
def test_an_epoch_that_was_interrupted_is_trained_by_the_next_call(monkeypatch, variant, at):
    x, y = make("binary")

    def trained(interrupts):
        calls, plan = iter(range(9)), Trainer.plan

        def planned(self):
            drawn = plan(self)
            if interrupts and next(calls) == at:
                raise KeyboardInterrupt
            return drawn

        monkeypatch.setattr(Trainer, "plan", planned)
        options = COMMON | copy.deepcopy(VARIANTS[variant]) | {"early_stopping": False}
        model = xpmlp.MLPClassifier(**options)
        for _ in range(3 + interrupts):
            model.partial_fit(x, y, classes=np.unique(y))
        monkeypatch.undo()
        return model

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        interrupted = trained(True)
    assert_equal(interrupted, trained(False))


def test_fit_goes_on_from_an_epoch_that_was_interrupted(monkeypatch):
    x, y = make("binary")
    options = COMMON | {"warm_start": True, "early_stopping": True, "n_iter_no_change": 99}
    plan = Trainer.plan

    def interrupted(self):
        drawn = plan(self)
        if self.place[0] == 2:
            raise KeyboardInterrupt
        return drawn

    model = xpmlp.MLPClassifier(**options, max_iter=5)
    monkeypatch.setattr(Trainer, "plan", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(x, y)
    monkeypatch.undo()
    model.set_params(max_iter=3).fit(x, y)
    assert_equal(model, xpmlp.MLPClassifier(**options, max_iter=5).fit(x, y))


def test_a_loss_that_diverges_is_scikit_learns_error():
    x, y = make("regression")
    model = xpmlp.MLPRegressor(solver="sgd", learning_rate_init=1e6, random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(x, y)


def test_the_last_epoch_without_convergence_warns():
    x, y = make("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xpmlp.MLPClassifier(max_iter=200, tol=10.0, n_iter_no_change=2).fit(x, y)
        with pytest.raises(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
            xpmlp.MLPClassifier(max_iter=2).fit(x, y)
        with pytest.raises(ConvergenceWarning, match=r"after 2 iteration\(s\).* max_iter"):
            xpmlp.MLPClassifier(max_iter=2, solver="lbfgs").fit(x, y)


def test_partial_fit_needs_the_classes_and_keeps_to_them():
    x, y = make("multiclass")
    model = xpmlp.MLPClassifier(**COMMON)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(x, y)
    model.partial_fit(x[y == "low"], y[y == "low"], classes=["low", "middle", "up"])
    assert model.predict_proba(x).shape == (90, 3)
    with pytest.raises(ValueError, match="has classes not in"):
        model.partial_fit(x, np.full(90, "other"))
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(x, y, classes=["low", "up"])
    assert not hasattr(xpmlp.MLPClassifier(solver="lbfgs"), "partial_fit")


def test_warm_start_needs_the_same_classes():
    x, y = make("multiclass")
    model = xpmlp.MLPClassifier(**COMMON, warm_start=True, max_iter=2).fit(x, y)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        model.fit(x[y != "up"], y[y != "up"])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_filter_on_scikit_learns_module_silences_the_warning(solver):
    x, y = make("binary")
    model = xpmlp.MLPClassifier(max_iter=1, solver=solver)
    with pytest.warns(ConvergenceWarning) as seen:
        model.fit(x, y)
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        model.fit(x, y)
