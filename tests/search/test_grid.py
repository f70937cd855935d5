"""Searches give what scikit-learn's give with our estimators, candidate by candidate."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import loguniform
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import xpmlp
from tests.estimator.problems import KINDS, estimator, make

GRID = {"learning_rate_init": [0.003, 0.03], "alpha": [1e-4, 0.1]}


@pytest.fixture(autouse=True)
def few_epochs_are_enough():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "batch_size .* is larger than the sample size")
        yield


def net(kind="multiclass", **parameters):
    common = {"hidden_layer_sizes": (6,), "max_iter": 8, "batch_size": 30, "random_state": 0}
    return estimator(xpmlp, kind, **common | parameters)


def both(name, *arguments, x, y, fit=None, **options):
    """Return the searches of xpmlp and scikit-learn, fitted on the same rows."""
    searches = []
    for module in (xpmlp, model_selection):
        search = getattr(module, name)(*arguments, **options)
        searches.append(search.fit(x, y, **fit or {}))
    return searches


def assert_same(ours, theirs):
    """Compare all of their results but the times."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name, expected in theirs.cv_results_.items():
        if "_time" in name:
            assert (ours.cv_results_[name] >= 0).all()
        elif "score" in name and expected.dtype.kind == "f":
            np.testing.assert_allclose(ours.cv_results_[name], expected, rtol=1e-6, atol=1e-9)
        else:
            np.testing.assert_array_equal(ours.cv_results_[name], expected)
    for name in ("best_index_", "best_params_", "n_splits_", "multimetric_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)


def drawn_grid(seed):
    """Return a grid drawn at random, with settings that can't share a problem."""
    random = np.random.default_rng(seed)
    choices = {
        "hidden_layer_sizes": [(4,), (6,), (4, 3)],
        "activation": ["relu", "tanh", "gelu"],
        "solver": ["adam", "sgd"],
        "alpha": [0.0, 1e-4, 0.1],
        "learning_rate_init": [0.001, 0.01, 0.03],
        "batch_size": [16, 30],
        "max_iter": [3, 8],
        "early_stopping": [False, True],
        "dropout": [0.0, 0.2],
        "random_state": [0, 1],
    }
    names = random.choice(list(choices), 3, replace=False)
    return {
        name: [choices[name][i] for i in random.permutation(len(choices[name]))[:2]]
        for name in map(str, names)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_targets(kind):
    x, y = make(kind)
    assert_same(*both("GridSearchCV", net(kind), GRID, cv=3, x=x, y=y, return_train_score=True))


@pytest.mark.parametrize("seed", range(8))
def test_grids_drawn_at_random(seed):
    kind = KINDS[seed % len(KINDS)]
    x, y = make(kind, rows=60)
    assert_same(*both("GridSearchCV", net(kind), drawn_grid(seed), cv=2, x=x, y=y))


def test_the_best_net_is_fitted_and_predicts():
    x, y = make("binary")
    ours, theirs = both("GridSearchCV", net("binary"), GRID, cv=3, x=x, y=y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-9)
    assert ours.best_score_ == theirs.best_score_
    assert ours.score(x, y) == theirs.score(x, y)
    assert ours.refit_time_ > 0


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (["accuracy", "f1_macro"], "f1_macro"),
        ({"a": "accuracy", "f": make_scorer(f1_score, average="macro")}, False),
        (lambda net, x, y: {"one": accuracy_score(y, net.predict(x)), "two": 2}, "one"),
        ("neg_log_loss", lambda results: int(results["mean_test_score"].argmin())),
    ],
    ids=["names", "dict", "callable", "refit"],
)
def test_several_metrics(scoring, refit):
    x, y = make("multiclass")
    options = {"scoring": scoring, "refit": refit, "cv": 3}
    assert_same(*both("GridSearchCV", net(), GRID, x=x, y=y, **options))


def test_groups_weights_and_splitters():
    x, y = make("multiclass")
    groups = np.arange(len(x)) % 5
    weights = np.random.default_rng(0).uniform(0.1, 2, len(x))
    fits = [{"groups": groups}, {"groups": groups, "sample_weight": weights}]
    for fit in fits:
        assert_same(*both("GridSearchCV", net(), GRID, cv=GroupKFold(3), x=x, y=y, fit=fit))
    splitter = ShuffleSplit(2, test_size=20, random_state=0)
    for cv in (splitter, list(splitter.split(x))):
        assert_same(*both("GridSearchCV", net(), GRID, cv=cv, x=x, y=y))


def test_weights_that_are_routed():
    x, y = make("regression")
    weights = np.random.default_rng(0).uniform(0.1, 2, len(x))
    with config_context(enable_metadata_routing=True):
        wishing = net("regression").set_fit_request(sample_weight=True)
        wishing.set_score_request(sample_weight=True)
        fit = {"sample_weight": weights}
        assert_same(*both("GridSearchCV", wishing, GRID, cv=3, x=x, y=y, fit=fit))


def test_points_drawn_at_random():
    x, y = make("binary")
    drawn = {"learning_rate_init": loguniform(1e-3, 1e-1), "alpha": [1e-4, 1e-2]}
    options = {"n_iter": 4, "random_state": 3, "cv": 2}
    assert_same(*both("RandomizedSearchCV", net("binary"), drawn, x=x, y=y, **options))


@pytest.mark.parametrize(
    "resource",
    [
        {"resource": "n_samples", "min_resources": 30},
        {"resource": "max_iter", "max_resources": 12, "min_resources": 2},
    ],
    ids=["rows", "epochs"],
)
def test_halving(resource):
    x, y = make("binary", rows=120)
    options = {"cv": 2, "factor": 2, "random_state": 0, **resource}
    assert_same(*both("HalvingGridSearchCV", net("binary"), GRID, x=x, y=y, **options))
    options |= {"n_candidates": 4}
    assert_same(*both("HalvingRandomSearchCV", net("binary"), GRID, x=x, y=y, **options))


def test_pipelines_and_what_they_are_searched_over():
    x, y = load_iris(return_X_y=True)
    piped = make_pipeline(StandardScaler(), net())
    grid = [
        {"mlpclassifier__alpha": [0.001, 0.1], "standardscaler__with_mean": [True, False]},
        {"standardscaler": ["passthrough"], "mlpclassifier": [net(max_iter=2), net(alpha=1.0)]},
    ]
    weights = {"mlpclassifier__sample_weight": np.linspace(0.5, 2, len(x))}
    ours, theirs = both(
        "GridSearchCV",
        piped,
        grid,
        cv=KFold(3, shuffle=True, random_state=0),
        x=x,
        y=y,
        fit=weights,
    )
    ours.cv_results_["params"] = [str(p) for p in ours.cv_results_["params"]]
    scores = "mean_test_score"
    np.testing.assert_allclose(ours.cv_results_[scores], theirs.cv_results_[scores], rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


def test_tables_and_sparse_rows():
    x, y = make("multiclass")
    table = pd.DataFrame(x, columns=list("abcdef"))
    ours, theirs = both("GridSearchCV", net(), GRID, cv=2, x=table, y=pd.Series(y))
    assert_same(ours, theirs)
    assert list(ours.feature_names_in_) == list("abcdef")
    assert_same(*both("GridSearchCV", net(), GRID, cv=2, x=csr_matrix(x), y=y))


def test_a_generator_as_random_state_is_copied_for_each_candidate():
    x, y = make("binary")
    drawing = net("binary", random_state=np.random.RandomState(4))
    assert_same(*both("GridSearchCV", drawing, GRID, cv=2, x=x, y=y))


def test_a_fit_that_fails_gets_the_error_score():
    x, y = make("binary")
    grid = {"alpha": [0.1, -1.0]}
    searches = []
    for module in (xpmlp, model_selection):
        search = module.GridSearchCV(net("binary"), grid, cv=2, error_score=-7.0)
        with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
            searches.append(search.fit(x, y))
    assert_same(*searches)
    assert searches[0].cv_results_["mean_test_score"][1] == -7
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier must be"):
        xpmlp.GridSearchCV(net("binary"), grid, cv=2, error_score="raise").fit(x, y)


def test_each_fit_warns_of_its_last_epoch():
    x, y = make("binary")
    told = []
    for module in (xpmlp, model_selection):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.GridSearchCV(net("binary"), GRID, cv=2).fit(x, y)
        told.append([(str(one.message), one.category) for one in caught])
    assert told[0] == told[1]
    assert len(told[0]) == 9  # 8 fits, and that of the best


def test_what_cannot_be_packed_goes_through_their_loop_and_is_told_once():
    x, y = make("binary")
    grid = {"solver": ["adam", "lbfgs"], "alpha": [0.1, 1.0]}
    theirs = model_selection.GridSearchCV(net("binary"), grid, cv=2).fit(x, y)
    ours = xpmlp.GridSearchCV(net("binary"), grid, cv=2)
    expected = r"4 of 8 fits can't train side by side, .* \(4 fits: the solver lbfgs has no epochs"
    with pytest.warns(UserWarning, match=expected) as told:
        ours.fit(x, y)
    assert len([one for one in told if one.category is UserWarning]) == 1
    assert_same(ours, theirs)
    halving = xpmlp.HalvingGridSearchCV(
        net("binary", solver="lbfgs"), {"alpha": [0.1, 1.0, 2.0]}, cv=2, factor=2
    )
    with pytest.warns(UserWarning, match="side by side") as told:
        halving.fit(x, y)
    assert len([one for one in told if one.category is UserWarning]) == 1


def test_other_estimators_go_through_their_loop():
    x, y = make("binary")
    grid = {"C": [0.1, 1.0]}
    theirs = model_selection.GridSearchCV(LogisticRegression(), grid, cv=2).fit(x, y)
    with pytest.warns(UserWarning, match="LogisticRegression is no net of xpmlp"):
        ours = xpmlp.GridSearchCV(LogisticRegression(), grid, cv=2).fit(x, y)
    assert_same(ours, theirs)


def test_progress_is_printed_as_theirs(capsys):
    x, y = make("binary")
    printed = []
    for module in (xpmlp, model_selection):
        module.GridSearchCV(net("binary"), GRID, cv=2, verbose=3, refit=False).fit(x, y)
        lines = capsys.readouterr().out.splitlines()
        printed.append([line.partition(" total time")[0].replace(".", "") for line in lines])
    assert printed[0] == printed[1]
    assert "[CV 1/2] END" in printed[0][1]


def test_packs_hold_rows_of_some_folds_at_a_time(monkeypatch):
    x, y = make("multiclass")
    monkeypatch.setattr("xpmlp.search.packing.MOST_BYTES", 60 * x.shape[1] * 8)
    assert_same(*both("GridSearchCV", net(), GRID, cv=3, x=x, y=y))


def test_a_search_is_cloned_shown_and_told_from_its_estimator():
    search = xpmlp.GridSearchCV(net(), GRID, cv=3)
    assert isinstance(search, model_selection.GridSearchCV)
    assert isinstance(search, BaseEstimator)
    assert repr(search).startswith("GridSearchCV(cv=3,")
