"""What an estimator says of labels, classes and widths that can't be: in the caller's own names."""

import re
from fractions import Fraction

import numpy as np
import pytest

import xpmlp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
COMMON = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
X = np.random.default_rng(0).normal(size=(60, 3))
SECOND = np.arange(60) % 2
SEVERAL = np.c_[SECOND, 1 - SECOND, SECOND]
TEXTS = ["no", "yes"]
# The two classes, the same as an array, and one that is neither.
NAMES = {
    "bool": ([False, True], np.array([False, True]), 2),
    "int": ([3, 7], np.array([3, 7]), 9),
    "float": ([1.0, 2.0], np.array([1.0, 2.0]), 3.0),
    "str": (TEXTS, np.array(TEXTS), "perhaps"),
    "object": (TEXTS, np.array(TEXTS, dtype=object), "perhaps"),
    "object of NumPy's": (TEXTS, np.array([*np.array(TEXTS)], dtype=object), "perhaps"),
}


def classifier(**parameters):
    return xpmlp.MLPClassifier(**{**COMMON, **parameters})


def assert_says(message, train):
    with pytest.raises(xpmlp.InputError, match=re.escape(message)) as raised:
        train()
    assert "np." not in str(raised.value)


@pytest.mark.parametrize("kind", NAMES)
def test_classes_are_named_as_the_caller_names_them(kind):
    known, names, other = NAMES[kind]
    first, last = known
    y, elsewhere = names[SECOND], np.full(60, other)
    few = np.r_[np.flatnonzero(SECOND == 0), 1]
    early = classifier(early_stopping=True)
    assert_says(f"are: ['True'], in y [{last!r}]", lambda: early.fit(X[few], y[few]))
    begun = classifier().partial_fit(X, y, classes=names)
    assert_says(
        f"`classes={[*known, other]}` is not the same as on last call to partial_fit, was: {known}",
        lambda: begun.partial_fit(X, y, classes=[*names, other]),
    )
    assert_says(
        f"`y_val` has classes not in `self.classes_`: [{other!r}]; these are {known}",
        lambda: classifier().fit(X, y, X_val=X, y_val=elsewhere),
    )
    for weights, message in (
        ({other: 2.0}, f"class_weight names [{other!r}]; the classes are {known}"),
        ({names[0]: -2.0}, f"finite and 0 or more, got -2.0 for class {first!r}"),
        ({names[1]: "big"}, f"finite and 0 or more, got 'big' for class {last!r}"),
        ([{names[0]: 1.0}], "a list of dicts is for several labels"),
    ):
        model = classifier(class_weight=weights)
        assert_says(message, lambda model=model: model.fit(X, y))


@pytest.mark.parametrize("kind", ["bool", "int"])
def test_texts_that_look_like_a_class_are_none(kind):
    names = NAMES[kind][1]
    texts = names.astype(str)[SECOND]
    message = f"classes not in `self.classes_`: {sorted(set(texts.tolist()))}"
    model = classifier()
    assert_says(message, lambda: model.fit(X, names[SECOND], X_val=X, y_val=texts))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (X[:, 0], "continuous. `y` must be a class for each row"),
        (np.array(["a", 1] * 30, dtype=object), "has classes of types int and str"),
        (np.array([1, "a"] * 30, dtype=object), "objects of type int and str"),
        (np.array(["a", None] * 30, dtype=object), "has classes of types NoneType and str"),
        (SECOND.astype(object), "objects of type int: try y.astype(int)"),
        (np.c_[SECOND, SECOND + 2], "several columns with other values than 0 and 1"),
    ],
)
def test_labels_that_are_no_classes_are_described(y, message):
    assert_says(message, lambda: classifier().fit(X, y))
    known = {"classes": [0, 1]}
    assert_says(message, lambda: classifier().partial_fit(X, y, **known))
    assert_says(
        message.replace("y.", "y_val.").replace("`y`", "`y_val`"),
        lambda: classifier().fit(X, SECOND, X_val=X, y_val=y),
    )


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (SEVERAL, SECOND, "must have 0 or 1 for each label, (N, O), as the y that was fitted"),
        (SECOND, SEVERAL, "must have one class for each row, as the y that was fitted"),
        (SEVERAL, SEVERAL[:, :2], "has 2 labels for each row, and the y that was fitted 3"),
    ],
)
def test_a_y_of_another_form_than_the_first_is_refused(first, then, message):
    """Classes that come after labels would else be taken for the numbers of these."""
    begun = classifier().partial_fit(X, first, classes=range(first.ndim + 1))
    assert_says(f"`y` {message}", lambda: begun.partial_fit(X, then))
    warm = classifier(warm_start=True).fit(X, first)
    assert_says(f"`y` {message}", lambda: warm.fit(X, then))
    assert_says(f"`y_val` {message}", lambda: classifier().fit(X, first, X_val=X, y_val=then))


def test_values_are_named_by_whose_they_are():
    texts = np.array(["a", "b"])[SECOND]
    assert_says("y must be numbers, got dtype <U1", lambda: xpmlp.MLPRegressor().fit(X, texts))
    model = xpmlp.MLPRegressor(**COMMON)
    message = "y_val must have 3 value(s) for each row, as the y that was fitted, and has 2"
    assert_says(message, lambda: model.fit(X, X, X_val=X, y_val=X[:, :2]))
    counts = xpmlp.MLPRegressor(**COMMON, loss="poisson")
    message = "loss 'poisson' needs y_val >= 0, and its smallest is -1"
    assert_says(message, lambda: counts.fit(X, SECOND, X_val=X, y_val=SECOND - 1))


@pytest.mark.parametrize(
    "sizes", [(5.0,), 5.0, (True,), True, "10", ("10",), None, (5, 2.5), {5}, b"5", [[5]]]
)
def test_widths_that_are_no_integers_are_described(sizes):
    model = xpmlp.MLPRegressor(hidden_layer_sizes=sizes)
    expected = "must be an int in the range [1, inf), or a list with one per hidden layer"
    message = f"The 'hidden_layer_sizes' parameter of MLPRegressor {expected}. Got {sizes!r} "
    assert_says(message, lambda: model.fit(X, X))


@pytest.mark.parametrize("sizes", [0, -3, (5, 0)])
def test_widths_below_one_are_scikit_learns_error(sizes):
    shown = list(sizes) if isinstance(sizes, tuple) else [sizes]
    model = xpmlp.MLPRegressor(hidden_layer_sizes=sizes)
    assert_says(f"hidden_layer_sizes must be > 0, got {shown}", lambda: model.fit(X, X))


@pytest.mark.parametrize("sizes", [4, np.int64(4), [np.int32(4)], np.array([4]), range(4, 5)])
def test_integers_of_every_kind_are_widths(sizes):
    model = xpmlp.MLPRegressor(**{**COMMON, "hidden_layer_sizes": sizes}).fit(X, X)
    assert model.coefs_[0].shape == (3, 4)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_widths_stay_where_a_training_goes_on(solver):
    model = xpmlp.MLPRegressor(**COMMON, warm_start=True, solver=solver).fit(X, X)
    model.set_params(hidden_layer_sizes=(4,))
    message = "can't change where a training goes on: it was (3,), and is (4,)"
    assert_says(message, lambda: model.fit(X, X))


@pytest.mark.parametrize("number", [False, np.float32(0.5), Fraction(1, 2)])
@pytest.mark.parametrize("name", ["alpha", "dropout", "momentum", "beta_1", "validation_fraction"])
def test_every_number_of_a_range_is_taken_or_refused_by_the_estimators_name(name, number):
    """The trainer and scikit-learn's tools, who know it by another, take floats alone."""
    solver, early = "adam" if name == "beta_1" else "sgd", name == "validation_fraction"
    model = classifier(solver=solver, early_stopping=early, **{name: number})
    if early and not number:
        assert_says("Increase 'validation_fraction'", lambda: model.fit(X, SECOND))
    else:
        same = classifier(**model.get_params() | {name: float(number)}).fit(X, SECOND)
        np.testing.assert_array_equal(model.fit(X, SECOND).coefs_[0], same.coefs_[0])


def test_a_boolean_is_no_count():
    message = "The 'max_iter' parameter of MLPRegressor must be an int in the range [1, inf)"
    assert_says(message, lambda: xpmlp.MLPRegressor(max_iter=True).fit(X, X))
