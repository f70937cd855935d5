"""Rows that validate and look nothing like those that train: a warning, and never a false one."""

import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from xpmlp import MLPClassifier, MLPRegressor, Rows
from xpmlp.estimator.likeness import UNLIKE, _kuiper, _least, spread_rows, unlike_columns
from xpmlp.estimator.rows import warn_of_unlike

RNG = np.random.default_rng(0)
REAL = {
    load.__name__.removeprefix("load_"): load().data
    for load in (load_iris, load_digits, load_breast_cancer, load_diabetes, load_wine)
}
MADE = {
    "cauchy": RNG.standard_cauchy((300, 1)),
    "lognormal": RNG.lognormal(0, 3, (400, 6)),
    "pareto": RNG.pareto(0.5, (200, 3)),
    "one outlier": np.append(RNG.normal(size=199), 1e9)[:, None],
    "one-hot": np.eye(6)[RNG.integers(0, 6, 300)],
    "sparse": RNG.poisson(0.05, (300, 30)) * RNG.lognormal(0, 2, (300, 30)),
    "constant": np.ones((100, 4)),
    "the same column": np.repeat(RNG.normal(size=(150, 1)), 20, axis=1),
    "alternating": np.tile([[0.0, 7.0], [1.0, 9.0]], (60, 1)),
}


def warns(x, x_val):
    columns, judged = unlike_columns(x, x_val)
    return 2 * len(columns) > judged


@pytest.mark.parametrize("x", [*REAL.values(), *MADE.values()], ids=[*REAL, *MADE])
@given(share=st.floats(0.005, 0.995), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_random_split_never_warns(x, share, seed):
    size = min(max(1, round(share * len(x))), len(x) - 1)
    train, held = train_test_split(x, test_size=size, random_state=seed)
    columns, _ = unlike_columns(train, held)
    assert not len(columns)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), RobustScaler()])
@pytest.mark.parametrize("size", [30, 0.3])
@pytest.mark.parametrize("name", REAL)
def test_unscaled_rows_of_every_data_set_warn(name, size, scaler):
    train, held = train_test_split(REAL[name], test_size=size, random_state=0)
    scaled = scaler.fit_transform(train)
    assert warns(scaled, held)
    assert warns(train, scaler.transform(held))
    assert not warns(scaled, scaler.transform(held))


def test_the_same_rows_in_another_precision_are_alike():
    x = np.tile([[0.1, 1e9 + 0.3], [0.7, 1e9]], (100, 1))
    assert not warns(x, x.astype("float32"))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_tell_nothing(rows):
    columns, judged = unlike_columns(RNG.normal(size=(200, 2)), np.full((rows, 2), 99.0))
    assert len(columns) == judged == 0


def test_the_statistic_by_hand():
    a, b = np.array([1.0, 2, 3, 4]), np.array([2.5, 2.6, 2.7])
    assert _kuiper(a, b) == 1.0  # it lies in a gap: 1/2 before, 1/2 after
    assert _kuiper(a, a) == 0.0
    assert _kuiper(np.array([1.0, 2]), np.array([2.0, 3])) == 0.5
    assert _least(10**6, 10**6) == UNLIKE
    assert _least(1000, 5) > 1


def test_honest_columns_exceed_the_least_as_seldom_as_promised():
    """By Kuiper's own law: at λ = 1.747 5 % of honest columns go beyond, so at 3.2 hardly any."""
    values = [_kuiper(RNG.random(60), RNG.random(40)) for _ in range(3000)]
    root = np.sqrt(60 * 40 / 100)
    beyond = np.array(values) * (root + 0.155 + 0.24 / root) > 1.747
    assert 0.02 < beyond.mean() < 0.06


def test_rows_are_spread_evenly():
    assert spread_rows(5).tolist() == [0, 1, 2, 3, 4]
    assert len(spread_rows(10**6)) == 1000
    assert len(spread_rows(1001)) <= 1000


def parts(load):
    x, y = load(return_X_y=True)
    x, x_val, y, y_val = train_test_split(x, y, random_state=0)
    return x, y, x_val, y_val


@pytest.mark.parametrize(
    ("net", "load"), [(MLPClassifier, load_wine), (MLPRegressor, load_diabetes)]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_pipeline_without_routing_warns_and_one_with_it_scales(net, load):
    x, y, x_val, y_val = parts(load)
    steps = [
        ("scale", StandardScaler()),
        ("net", net(hidden_layer_sizes=(4,), max_iter=1, early_stopping=True, random_state=0)),
    ]
    with pytest.warns(
        UserWarning, match=r"X_val looks nothing like .* transform_input=\[\"X_val\""
    ):
        Pipeline(steps).fit(x, y, net__X_val=x_val, net__y_val=y_val)
    with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        steps[1][1].set_fit_request(X_val=True, y_val=True)
        warnings.filterwarnings("ignore", message=".*Maximum iterations")
        model = Pipeline(steps, transform_input=["X_val"])
        model.fit(x, y, X_val=x_val, y_val=y_val)
    scores = model[-1].history_["validation_loss"]
    x_scaled = model[0].transform(x_val)
    alone = net(hidden_layer_sizes=(4,), max_iter=1, early_stopping=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone.fit(model[0].transform(x), y, X_val=x_scaled, y_val=y_val)
    assert scores == alone.history_["validation_loss"]


def test_scaled_rows_do_not_warn_and_partial_fit_never_does():
    x, y, x_val, y_val = parts(load_wine)
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", message=".*Maximum iterations")
        net = MLPClassifier((4,), max_iter=2)
        net.fit(scaler.transform(x), y, X_val=scaler.transform(x_val), y_val=y_val)
        net.partial_fit(scaler.transform(x), y, X_val=x_val, y_val=y_val)


def test_rows_on_a_device_are_looked_at_too():
    torch = pytest.importorskip("torch")
    x, y, x_val, y_val = parts(load_wine)
    train = Rows(torch.tensor(StandardScaler().fit_transform(x)), y)
    with pytest.warns(UserWarning, match="X_val looks nothing like"):
        warn_of_unlike(train, Rows(torch.tensor(x_val), y_val))
