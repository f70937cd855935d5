"""Arrays of labels: classes, several labels a row, or values."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.multiclass import type_of_target

from xpmlp.data.array_targets import array_targets
from xpmlp.errors import InputError

PATH = Path("a.npz")
ONE_HOT = np.eye(3)[[2, 0, 2]]
BINARY = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize(
    ("labels", "y", "names"),
    [
        (np.array([10, 9, -1, 10]), [2, 1, 0, 2], ("-1", "9", "10")),
        (np.array([[4.0], [2.0], [4.0]]), [1, 0, 1], ("2", "4")),
        (np.array(["b", "a", "b"]), [1, 0, 1], ("a", "b")),
        (np.array([["00501"], ["1e5"]]), [0, 1], ("00501", "1e5")),
        (np.array([True, False]), [1, 0], ("0", "1")),
        (np.array([2**63, 2**63 + 1], np.uint64), [0, 1], (str(2**63), str(2**63 + 1))),
        (np.array([10**18 + 1, 10**18]), [1, 0], (str(10**18), str(10**18 + 1))),
    ],
)
def test_classes(labels, y, names):
    found = array_targets(labels, PATH)
    assert (found.task, found.class_names, found.note) == ("classification", names, "")
    assert found.y.tolist() == y
    assert found.y.dtype == np.int64


def test_one_hot_rows_are_classes():
    for labels in (ONE_HOT, ONE_HOT.astype(bool), ONE_HOT.astype(np.uint8)):
        found = array_targets(labels, PATH)
        assert (found.task, found.class_names) == ("classification", ("0", "2"))
        assert found.y.tolist() == [1, 0, 1]
        assert "one-hot" in found.note


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool"])
@pytest.mark.parametrize("task", [None, "classification"])
def test_columns_of_0_and_1_are_several_labels(dtype, task):
    labels = BINARY.astype(dtype)
    found = array_targets(labels, PATH, task)
    assert (found.task, found.class_names, found.note) == ("multilabel", (), "")
    assert found.y.dtype == np.float64
    np.testing.assert_array_equal(found.y, BINARY)
    if dtype != "bool":
        assert type_of_target(labels) == "multilabel-indicator"


@pytest.mark.parametrize(
    "labels",
    [np.array([0.5, 2.0]), np.arange(6.0).reshape(3, 2), np.eye(3) * 0.5, BINARY + 1],
)
def test_values(labels):
    found = array_targets(labels, PATH)
    assert (found.task, found.class_names, found.note) == ("regression", (), "")
    assert found.y.dtype == np.float64
    np.testing.assert_array_equal(found.y, labels.reshape(len(labels), -1))


@pytest.mark.parametrize(
    ("distinct", "rows", "task"),
    [
        (50, 50, "classification"),
        (51, 51, "regression"),
        (51, 101, "regression"),
        (51, 102, "classification"),
    ],
)
def test_many_different_whole_numbers_are_values(distinct, rows, task):
    labels = np.arange(rows) % distinct
    found = array_targets(labels, PATH)
    assert found.task == task
    assert bool(found.note) == (task == "regression")
    for wish in ("classification", "regression"):
        assert array_targets(labels, PATH, wish).task == wish
        assert array_targets(labels, PATH, wish).note == ""


@pytest.mark.parametrize("labels", [np.array([1, 2]), BINARY, ONE_HOT, BINARY[:, :1]])
def test_a_wish_for_values(labels):
    found = array_targets(labels, PATH, "regression")
    assert (found.task, found.class_names) == ("regression", ())
    np.testing.assert_array_equal(found.y, labels.reshape(len(labels), -1))


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        ([1.0, 0.5], "classification", "0.5 among the labels can't number a class"),
        ([[1, 2], [3, 4]], "classification", "2 columns of labels are classes only where each is"),
        (["a", "b"], "regression", "the labels are texts, such as 'a'; regression needs numbers"),
        ([["a", "b"]], None, "text labels must have shape (N,), got (1, 2)"),
        ([7, 7], None, "every label is '7'; classification needs at least two classes"),
        ([[0, 1], [0, 1]], None, "every label is '1'"),
    ],
)
def test_refused_labels(labels, task, message):
    with pytest.raises(InputError) as caught:
        array_targets(np.array(labels), PATH, task)
    assert str(caught.value).startswith(f"a.npz: {message}")
