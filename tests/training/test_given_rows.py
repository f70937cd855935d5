"""`Rows` and `Dataset` made of what they can't be made of, and rows that don't fit a net."""

import re

import numpy as np
import pytest

from tests.problems import make_dataset
from xpmlp import Config, Dataset, InputError, Rows, Trainer, fit, fit_many
from xpmlp.backends.registry import load

X = np.random.default_rng(0).normal(size=(12, 4))
Y = np.arange(12) % 3
SMALL = Config(hidden=(5,), epochs=1)


@pytest.fixture
def numpy_backend():
    return load("numpy", "cpu", "float64")


def says(message):
    return pytest.raises(InputError, match=re.escape(message))


def frame(array):
    return pytest.importorskip("pandas").DataFrame(array)


def sparse(array):
    return pytest.importorskip("scipy.sparse").csr_array(np.atleast_2d(array))


def matrix(array):
    return np.atleast_2d(array).view(np.matrix)


def masked(array):
    return np.ma.masked_array(array, array > 1)


@pytest.mark.parametrize("part", ["x", "y", "weights"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (np.ndarray.tolist, "got list; numpy.asarray({}) makes one of a list"),
        (frame, "got DataFrame; give {}.to_numpy()"),
        (sparse, "got csr_array; give {}.toarray()"),
        (masked, "got MaskedArray; fill what is masked"),
        (matrix, "got matrix; numpy.asarray({})"),
        (np.sum, "64; numpy.atleast_1d({})"),
        (lambda a: np.array(a.sum()), "ndarray; numpy.atleast_1d({})"),
    ],
)
def test_what_is_no_array_is_refused_with_a_remedy(part, make, said):
    given = {"x": X, "y": Y, "weights": np.ones(12)}
    with says(said.format(part)) as raised:
        Rows(**given | {part: make(given[part])})
    assert str(raised.value).startswith(f"Rows: {part} must be ")


def test_arrays_of_other_libraries_and_views_are_arrays():
    torch = pytest.importorskip("torch")
    assert len(Rows(torch.asarray(X), Y)) == 12
    assert len(Rows(X[::2], Y[::2])) == 6
    with says("y must be a NumPy array, got Tensor"):
        Rows(X, torch.asarray(Y))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train": (X, Y)}, "own: train must be xpmlp.Rows(x, y), got tuple"),
        ({"test": None}, "test must be xpmlp.Rows(x, y), got NoneType; xpmlp.Rows(x[:0], y[:0])"),
        ({"task": "classes"}, "unknown task 'classes'; choose one of: classification"),
        ({"class_names": (0, 1, 2)}, "class_names must be a tuple of texts, got (0, 1, 2)"),
        ({"class_names": "abc"}, "class_names must be a tuple of texts, got 'abc'"),
        ({"feature_names": 4}, "feature_names must be a tuple of texts, got 4"),
    ],
)
def test_a_dataset_of_something_else_is_refused(changed, message):
    none = Rows(X[:0], Y[:0])
    parts = {"train": Rows(X, Y), "validation": none, "test": none, "class_names": list("abc")}
    given = {"name": "own", "task": "classification", **parts}
    assert Dataset(**given).class_names == ("a", "b", "c")
    with says(message):
        Dataset(**given | changed)


@pytest.mark.parametrize("data", [(X, Y), X, Rows(X, Y), "moons"], ids=type)
def test_no_dataset_is_refused_by_who_takes_one(data, numpy_backend):
    with says("xpmlp.fit(config, "):
        fit(SMALL, data, backend=numpy_backend)
    with says("xpmlp.fit(config, "):
        fit_many([SMALL], data, backend=numpy_backend)
    with says(f"data must be an xpmlp.Dataset, got {type(data).__name__}"):
        Trainer(SMALL, data, numpy_backend)


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("classification", (X.astype(object), Y), "x must be float32 or float64, got dtype object"),
        ("classification", (X.astype(str), Y), "x must be float32 or float64, got dtype <U"),
        ("classification", (X + 1j, Y), "x must be float32 or float64, got dtype complex128"),
        ("regression", (X, X.astype(str)), "y must be (N, O) and finite numbers, got <U"),
        ("regression", (X, X.astype(object)), "y must be (N, O) and finite numbers, got object"),
        ("classification", (X, Y, Y.astype(str)), "weights must be (12,), positive and finite"),
    ],
)
def test_arrays_that_are_no_numbers_are_refused(task, rows, message, numpy_backend):
    none = Rows(rows[0][:0], rows[1][:0])
    names = ("a", "b", "c") if task == "classification" else ()
    with says(message):
        Trainer(SMALL, Dataset("own", task, Rows(*rows), none, none, names), numpy_backend)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((X, Y), "must be xpmlp.Rows(x, y), got tuple"),
        (Rows(X[:0], Y[:0]), "there are no rows to evaluate"),
        (Rows(X[:, :3], Y), "x has shape (12, 3), y (12,); x must be (N, D) with D = 4"),
        (Rows(X, Y[1:]), "x has shape (12, 4), y (11,)"),
        (Rows(X, Y + 1), "labels from 1 to 3, but there are 3 classes"),
        (Rows(X * np.nan, Y), "x contains NaN or infinity"),
        (Rows(X, X), "y must be class indices (N,), got float64 (12, 4)"),
    ],
)
def test_rows_to_evaluate_must_be_like_the_training_rows(rows, message, numpy_backend):
    trainer = Trainer(SMALL, make_dataset(), numpy_backend)
    assert trainer.evaluate(Rows(X, Y)).logits.shape == (12, 3)
    with says(message):
        trainer.evaluate(rows)
