"""Fits that begin one by one and train side by side: each net is what it is alone."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import xpmlp
from tests.estimator.problems import KINDS, distance, estimator, make
from xpmlp.search.together import NotPacked, Together

SAME = 1e-9  # of the largest weight, after tens of steps in float64
SETTINGS = {
    "adam": [{"learning_rate_init": rate} for rate in (0.001, 0.01, 0.03)],
    "penalties": [{"alpha": alpha} for alpha in (1e-5, 0.1, 1.0)],
    "none": [{"alpha": alpha} for alpha in (0.0, 0.1)],
    "sgd": [{"solver": "sgd", "momentum": m, "learning_rate_init": 0.05} for m in (0.5, 0.9)],
    "kinds of sgd": [
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    ],
    "adaptive": [
        {"solver": "sgd", "learning_rate": "adaptive", "tol": tol, "n_iter_no_change": 1}
        for tol in (0.1, 0.01)
    ],
    "widths": [{"hidden_layer_sizes": sizes} for sizes in ((4,), (5,), (4, 3))],
    "batches": [{"batch_size": size} for size in (16, 32, 1000)],
    "early": [{"early_stopping": True, "random_state": seed} for seed in (0, 0, 1)],
    "dropout": [{"dropout": 0.3, "random_state": seed} for seed in (0, 1)],
    "ended by tol": [{"tol": tol, "n_iter_no_change": 2} for tol in (1e-4, 0.02, 0.3)],
    "lengths": [{"max_iter": epochs} for epochs in (1, 4, 7)],
    "seeds": [{"random_state": seed, "shuffle": seed < 2} for seed in range(3)],
}


def nets(kind, settings):
    common = {"hidden_layer_sizes": (5,), "max_iter": 12, "batch_size": 32, "random_state": 0}
    return [estimator(xpmlp, kind, **common | each) for each in settings]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:batch_size")
@pytest.mark.parametrize("name", SETTINGS)
def test_nets_are_as_if_alone(name):
    """Those of two folds and several settings, all in one pack."""
    for kind in ("multiclass", "regression"):
        x, y = make(kind)
        folds = [(x[:70], y[:70]), (x[21:], y[21:])]  # of 70 rows and of 69
        alone = [clone(net).fit(*fold) for net in nets(kind, SETTINGS[name]) for fold in folds]
        copies = [clone(net) for net in nets(kind, SETTINGS[name]) for _ in folds]
        together = Together()
        fits = [together.begin(net, *folds[i % 2], {}) for i, net in enumerate(copies)]
        together.train()
        for fit, expected in zip(fits, alone, strict=True):
            net = fit.end()
            assert distance(net, expected) < SAME
            assert net.n_iter_ == expected.n_iter_
            assert net.converged_ == expected.converged_
            np.testing.assert_allclose(net.loss_curve_, expected.loss_curve_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("compile", ["never", "always"])
def test_folds_of_one_net_train_in_one_step(compile):
    """Some with weights, some without, one a row shorter."""
    x, y = make("binary")
    weights = np.linspace(0.5, 2, 69)
    folds = [
        (x[:70], y[:70], {}),
        (x[21:], y[21:], {}),
        (x[21:], y[21:], {"sample_weight": weights}),
    ]
    alone = [
        net.fit(*fold[:2], **fold[2])
        for fold in folds
        for net in nets("binary", [{"compile": compile}])
    ]
    together = Together()
    fits = [together.begin(*nets("binary", [{"compile": compile}]), *fold) for fold in folds]
    together.train()
    assert len({id(fit.run.trainer.problem.share.rows) for fit in fits}) == 1
    for fit, expected in zip(fits, alone, strict=True):
        net = fit.end()
        assert distance(net, expected) < SAME
        np.testing.assert_allclose(net.loss_curve_, expected.loss_curve_, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_row_weights_and_kinds_of_targets(kind):
    x, y = make(kind)
    weights = np.random.default_rng(0).uniform(0, 2, len(x))
    weights[::7] = 0
    common = SETTINGS["penalties"]
    alone = [net.fit(x, y, sample_weight=weights) for net in nets(kind, common)]
    together = Together()
    fits = [together.begin(net, x, y, {"sample_weight": weights}) for net in nets(kind, common)]
    together.train()
    assert len(together.problems.known) == 1
    for fit, expected in zip(fits, alone, strict=True):
        assert distance(fit.end(), expected) < SAME


def test_nets_on_the_same_rows_share_a_problem():
    """Those of other rows, widths or optimisers have their own."""
    x, y = make("binary")
    together = Together()
    settings = [*SETTINGS["adam"], *SETTINGS["penalties"], *SETTINGS["lengths"]]
    for net in nets("binary", settings):
        together.begin(net, x.copy(), y, {})
    assert len(together.problems.known) == 1
    for net in nets("binary", settings):
        together.begin(net, x[1:], y[1:], {})
    assert len(together.problems.known) == 2
    for net in nets("binary", SETTINGS["widths"] + SETTINGS["sgd"]):
        together.begin(net, x, y, {})
    assert len(together.problems.known) == 5  # (5,) is there already


def test_one_that_fails_leaves_the_others_alone():
    """At its begin, by a loss that diverges, or by a scorer that fails within."""

    def scorer(net, x, y):
        raise RuntimeError("no score")

    x, y = make("regression")
    good, bad = {}, {"solver": "sgd", "learning_rate_init": 1e200}
    late = {"early_stopping": True, "scoring": scorer}
    copies = nets("regression", [good, {"alpha": -1}, bad, late])
    alone = nets("regression", [good])[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        alone.fit(x, y)
    together = Together()
    fits = [together.begin(net, x, y, {}) for net in copies]
    together.train()
    for fit, message in zip(fits[1:], ("'alpha' parameter", "non-finite", "no score"), strict=True):
        with pytest.raises((ValueError, RuntimeError), match=message):
            fit.end()
    with pytest.warns(ConvergenceWarning):
        assert distance(fits[0].end(), alone) < SAME


@pytest.mark.parametrize(
    ("options", "params", "reason"),
    [
        ({"solver": "lbfgs"}, {}, "lbfgs has no epochs"),
        ({}, {"callbacks": print}, "is given callbacks"),
    ],
)
def test_what_cannot_be_packed_says_why(options, params, reason):
    with pytest.raises(NotPacked, match=reason):
        Together().begin(nets("binary", [options])[0], *make("binary"), params)
