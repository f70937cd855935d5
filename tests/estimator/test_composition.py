"""The estimators inside scikit-learn's own tools."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import xpmlp
from tests.estimator.problems import distance, make

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def model(**parameters):
    return xpmlp.MLPClassifier(
        (8,), learning_rate_init=0.02, max_iter=20, random_state=0
    ).set_params(**parameters)


def test_clone_and_parameters():
    fitted = model(alpha=0.3, class_weight={"low": 2.0, "middle": 1.0}).fit(*make("binary"))
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "coefs_")
    assert distance(copied.fit(*make("binary")), fitted) == 0.0


def test_grid_search_in_processes():
    x, y = make("multiclass", 150)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model()),
        {"mlpclassifier__alpha": [1e-4, 100.0], "mlpclassifier__solver": ["adam", "lbfgs"]},
        cv=3,
        n_jobs=2,
    ).fit(x, y)
    assert search.best_params_["mlpclassifier__alpha"] == 1e-4
    assert search.best_score_ > 0.6


def test_cross_validation():
    x, y = make("regression")
    net = xpmlp.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs")
    assert cross_val_score(net, x, y).min() > 0.99


def test_ensembles_of_them():
    x, y = make("binary")
    in_turn = BaggingClassifier(model(), n_estimators=4, random_state=0).fit(x, y)
    at_once = clone(in_turn).set_params(n_jobs=2).fit(x, y)
    np.testing.assert_allclose(in_turn.predict_proba(x), at_once.predict_proba(x), rtol=1e-12)
    assert in_turn.score(x, y) > 0.7


def test_frames_give_the_features_names():
    x, y = make("binary")
    frame = pd.DataFrame(x, columns=list("abcdef"))
    pipeline = make_pipeline(StandardScaler(), model()).set_output(transform="pandas")
    net = pipeline.fit(frame, pd.Series(y))[-1]
    assert list(net.feature_names_in_) == list("abcdef")
    assert list(pipeline.predict(frame)) == list(net.predict(pipeline[0].transform(frame)))
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(frame[list("fedcba")])


def test_weights_are_routed():
    x, y = make("binary")
    weights = np.random.default_rng(0).random(len(y)) + 0.1
    with sklearn.config_context(enable_metadata_routing=True):
        net = model().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = cross_validate(
            net, x, y, params={"sample_weight": weights}, return_estimator=True, cv=2
        )
    plain = cross_validate(model(), x, y, return_estimator=True, cv=2)
    first, unweighted = routed["estimator"][0], plain["estimator"][0]
    assert distance(first, unweighted) > 1e-3


def test_rows_that_validate_are_routed():
    x, y = make("binary")
    with sklearn.config_context(enable_metadata_routing=True):
        net = model().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(net).fit(x, y, X_val=x[:20], y_val=y[:20])
    assert None not in pipeline[-1].history_["validation_score"]
