"""Predictions: the checks that plain rows are spared, and rows in blocks."""

import warnings
from functools import partial

import numpy as np
import pytest
import sklearn
from sklearn.utils.validation import validate_data

import xpmlp
from tests.estimator.problems import make
from xpmlp.estimator import fitted
from xpmlp.estimator.arrays import by_columns, passes_unchanged
from xpmlp.nn.losses import softmax

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (7,), "max_iter": 3, "random_state": 0}
ROWS = np.random.default_rng(0).normal(size=(4, 6))


def with_value(value, dtype="float64"):
    rows = ROWS.astype(dtype)
    rows[1, 2] = value
    return rows


PLAIN = {
    "float64": ROWS,
    "float32": ROWS.astype("float32"),
    "a single row": ROWS[:1],
    "by columns": np.asfortranarray(ROWS),
    "every other": np.repeat(ROWS, 2, axis=0)[::2],
    "of somebody else": np.frombuffer(ROWS.tobytes()).reshape(4, 6),
}
OTHERS = {
    "NaN": with_value(np.nan),
    "infinite": with_value(np.inf),
    "both infinities": np.where(ROWS > 0, np.inf, -np.inf),
    "a sum too large": np.full((4, 6), 3e38, "float32"),
    "integers": np.ones((4, 6), int),
    "half": ROWS.astype("float16"),
    "other bytes first": ROWS.astype(">f8"),
    "objects": ROWS.astype(object),
    "lists": ROWS.tolist(),
    "masked": np.ma.masked_array(ROWS),
    "no rows": ROWS[:0],
    "too few columns": ROWS[:, :5],
    "a row alone": ROWS[0],
    "texts": ROWS.astype(str),
    "complex": ROWS * 1j,
}


@pytest.fixture(scope="module")
def classes():
    x, y = make("multiclass")
    return xpmlp.MLPClassifier(**COMMON).fit(x, y)


@pytest.fixture
def checked(monkeypatch):
    """Return a list that notes the rows which scikit-learn checks."""
    seen = []

    def noting(estimator, X, **options):
        seen.append(X)
        return validate_data(estimator, X, **options)

    monkeypatch.setattr(fitted, "validate_data", noting)
    return seen


@pytest.mark.parametrize("name", PLAIN)
def test_rows_that_are_spared_the_checks_would_pass_them_as_they_are(name, classes, checked):
    rows = PLAIN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given_back = validate_data(
            classes, rows, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False
        )
    assert given_back is rows
    assert len(classes.predict(rows)) == len(rows)
    assert checked == []


@pytest.mark.filterwarnings("ignore:invalid value")  # of scikit-learn's own sum
@pytest.mark.parametrize("name", OTHERS)
def test_all_other_rows_are_checked(name, classes, checked):
    rows = OTHERS[name]
    assert not passes_unchanged(rows, 6)
    assert problem(classes.predict, rows) == problem(plain_check(classes), rows)
    assert checked[0] is rows


def plain_check(net):
    return partial(validate_data, net, dtype=[np.float64, np.float32], reset=False)


def problem(check, rows):
    """Return what is said of rows, None where nothing is."""
    try:
        check(X=rows)
    except ValueError as error:
        return str(error)
    return None


def test_rows_without_the_names_of_the_training_are_told_so():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    x, y = make("binary")
    named = xpmlp.MLPClassifier(**COMMON).fit(pandas.DataFrame(x, columns=list("abcdef")), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        named.predict(x)


def test_where_scikit_learn_is_told_to_look_at_nothing_it_does_not(classes):
    with sklearn.config_context(assume_finite=True):
        assert len(classes.predict(with_value(np.nan))) == 4


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression", "several values"])
def test_many_rows_give_what_few_do_row_by_row_in_memory(kind, dtype):
    x, y = make(kind)
    is_regression = "value" in kind or kind == "regression"
    net = (xpmlp.MLPRegressor if is_regression else xpmlp.MLPClassifier)(**COMMON)
    net.fit(x.astype(dtype), y)
    predict = net.predict if is_regression else net.predict_proba
    many = np.random.default_rng(1).normal(size=(2345, 6)).astype(dtype)
    found = predict(many)
    parts = np.concatenate([predict(piece) for piece in np.array_split(many, 67)])
    np.testing.assert_allclose(found, parts, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-6)
    assert found.flags.c_contiguous
    assert found.dtype == parts.dtype == dtype
    if not is_regression:
        np.testing.assert_array_equal(net.predict(many), net.classes_[found.argmax(axis=1)])


def test_weights_that_are_changed_in_place_or_replaced_count_at_once(classes):
    net = xpmlp.MLPRegressor(**COMMON).fit(*make("regression"))
    before = net.predict(ROWS)
    net.intercepts_[-1] += 2.0
    np.testing.assert_allclose(net.predict(ROWS), before + 2.0)
    net.intercepts_[-1] = net.intercepts_[-1] - 2.0
    np.testing.assert_allclose(net.predict(ROWS), before)


@pytest.mark.parametrize("classes", [1, 3, 10, 100])
def test_probabilities_do_not_depend_on_how_the_logits_lie(classes):
    logits = np.random.default_rng(0).normal(size=(50, classes)) * 30.0
    np.testing.assert_allclose(
        softmax(np, by_columns(logits)), softmax(np, logits), rtol=1e-14, atol=0
    )
