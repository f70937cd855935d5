import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tables.by_hand import table
from xpmlp.data.tables.labels import read_labels
from xpmlp.data.tables.typed import typed_columns
from xpmlp.errors import InputError


def learn(columns, task=None):
    """Read the labels of a table that has nothing else, with columns typed before."""
    raw = table(columns if isinstance(columns, dict) else {"y": columns})
    places = range(len(raw.columns))
    typed = {} if task == "classification" else typed_columns(raw, places, labels=places)
    return read_labels(raw, places, typed, task)


def refused(columns, task=None):
    with pytest.raises(InputError) as caught:
        learn(columns, task)
    message = str(caught.value)
    assert message.startswith("t.csv")
    assert "\n" not in message
    return message


LABELS = st.lists(st.sampled_from(["cat", "dog", "<=50K", "Ä", "", "NA", "10"]), min_size=1)


@given(LABELS)
def test_texts_are_classes_as_pandas_finds_them(labels):
    known = pd.Series(labels).replace({"": None, "NA": None})
    codes, names = pd.factorize(known, sort=True)
    if len(names) < 2 or set(names) <= {"10"}:
        return
    targets = learn(labels)
    assert targets.task == "classification"
    assert targets.class_names == tuple(names)
    assert targets.y.dtype == np.int64
    np.testing.assert_array_equal(targets.keep, known.notna())
    np.testing.assert_array_equal(targets.y, codes[codes >= 0])


@given(st.lists(st.integers(-4, 4), min_size=1))
def test_few_whole_numbers_are_classes_by_value(labels):
    names = sorted(set(labels))
    if len(names) < 2:
        assert f"every label is '{names[0]}'; classification needs" in refused(
            list(map(str, labels))
        )
        return
    for column in (list(map(str, labels)), pa.array(labels), pa.array(labels, pa.float64())):
        targets = learn(column)
        assert targets.task == "classification"
        assert targets.class_names == tuple(map(str, names))
        assert [int(targets.class_names[y]) for y in targets.y] == labels
        assert targets.note == ""


@pytest.mark.parametrize(
    ("different", "rows", "task"),
    [
        (10, 10, "classification"),
        (11, 22, "regression"),
        (11, 23, "classification"),
        (50, 100, "regression"),
        (50, 101, "classification"),
        (51, 1000, "regression"),
    ],
)
def test_many_whole_numbers_are_values(different, rows, task):
    labels = [i % different for i in range(rows)]
    targets = learn(list(map(str, labels)))
    assert targets.task == task
    if task == "regression":
        assert targets.y.tolist() == [[label] for label in labels]
        assert f"its {different} different whole numbers are values to fit" in targets.note
        assert "--task classification" in targets.note
    wished = learn(list(map(str, labels)), "classification")
    assert wished.class_names == tuple(map(str, range(different)))
    assert wished.y.tolist() == labels


def test_other_numbers_are_values():
    targets = learn(["0.5", "1", "NA", "2"])
    assert targets.task == "regression"
    assert targets.class_names == ()
    assert targets.y.dtype == np.float64
    assert targets.y.tolist() == [[0.5], [1], [2]]
    assert targets.keep.tolist() == [True, True, False, True]
    assert targets.note == "1 of 4 rows have no label and are left out"


def test_values_with_decimal_commas():
    assert learn(["1,5", "2,25"]).y.tolist() == [[1.5], [2.25]]
    raw = table({"y": ["1,234", "5,678"]}, layout="separated by semicolons")
    for typed in ({}, typed_columns(raw, [0], labels=[0])):
        targets = read_labels(raw, [0], typed)
        assert targets.y.tolist() == [[1.234], [5.678]]
        assert targets.note == "column 'y': '1,234' is read as 1.234 (decimal comma)"


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["00501", "10001"] * 30, ("00501", "10001")),
        (["1234567890123456789", "1098765432109876543"], None),
        (["9007199254740992", "9007199254740993", "12"], ("12", None, None)),
        (["1e5", "7", "1e5"], ("7", "1e5")),
        (["10", "9", "-1", "+3"], ("-1", "+3", "9", "10")),
        (["b", "10", "9"], ("10", "9", "b")),
        (["no", "yes"], ("no", "yes")),
        (["Yes", "no"], ("Yes", "no")),
        (["1,234", "12,345", "999"] * 2, ("999", "1,234", "12,345")),
    ],
)
def test_class_names_stay_as_they_are_written(labels, names):
    targets = learn(labels)
    assert targets.task == "classification"
    assert [targets.class_names[y] for y in targets.y] == labels
    if names:
        pairs = zip(targets.class_names, names, strict=True)
        assert all(name in (None, found) for found, name in pairs)


@pytest.mark.parametrize("task", [None, "classification"])
@pytest.mark.parametrize("labels", [["2,000", "10,000"], ["2,0", "10,0"], ["2 000", "10 000"]])
def test_classes_have_one_order_by_wish_and_without(labels, task):
    assert learn(labels * 5, task).class_names == tuple(labels)


@pytest.mark.parametrize("task", [None, "classification"])
def test_a_number_written_in_two_ways_is_two_classes(task):
    targets = learn(["1", "1.0", "2", "1"], task)
    assert targets.class_names == ("1", "1.0", "2")
    assert targets.y.tolist() == [0, 1, 2, 0]
    assert targets.note == "label 'y': '1' and '1.0' are two classes, though the same number"


def test_long_codes_are_not_taken_for_one_number():
    assert learn(["9007199254740992", "9007199254740993"]).note == ""


def test_classes_of_arrow_types():
    assert learn(pa.array([True, False, None])).class_names == ("False", "True")
    assert learn(pa.array(["b", "a"]).dictionary_encode()).class_names == ("a", "b")
    assert learn(pa.array([2**60, 5])).class_names == ("5", str(2**60))
    found = learn(pa.array([1.0, float("nan"), 0.0]))
    assert found.class_names == ("0", "1")
    assert found.y.tolist() == [1, 0]


def test_any_texts_are_classes_by_wish():
    assert learn(["0.5", "1.5", "x"], "classification").class_names == ("0.5", "1.5", "x")
    names = [f"{i}.5" for i in range(40)]
    assert learn([*names, "12kg"], "classification").class_names == tuple(sorted([*names, "12kg"]))
    assert learn([f"t{i:02}" for i in range(60)], "classification").y.tolist() == list(range(60))
    assert learn(["1e99999999999999999999", "2"], "classification").y.tolist() == [0, 1]


def test_whole_numbers_are_values_by_wish():
    targets = learn(["0", "1", "1"], "regression")
    assert targets.task == "regression"
    assert targets.y.tolist() == [[0], [1], [1]]
    assert targets.note == ""
    assert learn(["00501", "10001"], "regression").y.tolist() == [[501], [10001]]


@pytest.mark.parametrize("bad", ["<0.5", "12.3kg", "about 7"])
@pytest.mark.parametrize("task", [None, "regression"])
def test_one_unclean_value_is_refused_where_it_stands(bad, task):
    labels = [f"{i / 8}" for i in range(400)]
    labels[250] = bad
    message = refused(labels, task)
    assert f"t.csv, line 252, column 'y': expected a number, got '{bad}'" in message
    assert "--drop" not in message


@pytest.mark.parametrize("labels", [["1", "2", "cat", "1"], ["no", "1", "yes"]])
def test_texts_are_no_values(labels):
    bad = next(label for label in labels if not label.isdigit())
    message = refused(labels, "regression")
    assert f"t.csv, line {labels.index(bad) + 2}, column 'y': expected a number" in message
    assert message.endswith("--task classification learns classes")


@pytest.mark.parametrize(("different", "rows", "fine"), [(50, 50, True), (51, 101, False)])
def test_texts_that_are_too_many_to_be_classes(different, rows, fine):
    labels = [f"t{i % different}" for i in range(rows)]
    if fine:
        assert len(learn(labels).class_names) == different
    else:
        message = refused(labels)
        assert "column 'y': 51 different texts in 101 rows, such as 't0'" in message
        assert "--label NAME" in message
    assert len(learn([f"t{i % 51}" for i in range(102)]).class_names) == 51


def test_dates_that_python_does_not_know_are_refused():
    days = pa.array([2**25, 0], pa.int32()).cast(pa.date32())
    assert "dates can't be learnt" in refused({"y": days})


def test_dates_are_refused():
    message = refused(["NA", "2024-03-31"])
    assert "line 3, column 'y': expected a class or a number, got '2024-03-31'" in message


@pytest.mark.parametrize("task", [None, "classification", "regression"])
def test_labels_that_are_all_missing(task):
    assert "column 'y': no row has a label" in refused(["NA", ""], task)


@pytest.mark.parametrize("columns", [{}, "typed"])
def test_several_labels_of_0_and_1_are_multilabel(columns):
    labels = {"a": ["0", "1", "NA", "1"], "b": ["yes", "no", "no", "yes"]}
    raw = table(labels | {"c": pa.array([True, False, True, None])})
    typed = typed_columns(raw, [0, 1, 2]) if columns else {}
    targets = read_labels(raw, [0, 1, 2], typed)
    assert targets.task == "multilabel"
    assert targets.class_names == ()
    assert targets.y.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert targets.keep.tolist() == [True, True, False, False]
    assert targets.note == "2 of 4 rows have no label and are left out"
    assert read_labels(raw, [0, 1, 2], typed, "classification").task == "multilabel"
    assert read_labels(raw, [0, 1, 2], typed, "regression").task == "regression"


def test_several_other_labels_are_values_in_the_order_asked():
    raw = table({"a": ["0", "1"], "b": ["1,234", "5,678"]})
    targets = read_labels(raw, [1, 0], {})
    assert targets.task == "regression"
    assert targets.y.tolist() == [[1234, 0], [5678, 1]]
    assert targets.note == "column 'b': '1,234' is read as 1234 (thousands comma)"


def test_several_labels_that_cannot_be_learnt():
    message = refused({"a": ["0", "1"], "b": ["NA", "cat"]})
    assert "t.csv, line 3, column 'b': expected a number, got 'cat'" in message
    message = refused({"a": ["0", "1"], "b": ["0", "2"]}, "classification")
    assert "t.csv, line 3, column 'b': expected 0 or 1, got '2'" in message
    assert "no row has all 2 labels" in refused({"a": ["NA", "1"], "b": ["0", "NA"]})


LABEL = st.one_of(
    st.text(max_size=4),
    st.integers().map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.sampled_from(["yes", "no", "00501", "1,234", "", "1e999"]),
)


@given(
    columns=st.lists(st.lists(LABEL, min_size=3, max_size=3), min_size=1, max_size=3),
    times=st.integers(1, 20),
    task=st.sampled_from([None, "classification", "regression"]),
)
def test_any_labels_are_targets_or_one_line(columns, times, task):
    labels = {f"y{i}": column * times for i, column in enumerate(columns)}
    message, targets = "", None
    try:
        targets = learn(labels, task)
    except InputError as error:
        message = str(error)
    if targets is None:
        assert message.startswith("t.csv")
        assert "\n" not in message
        return
    assert len(targets.y) == targets.keep.sum() > 0
    if targets.task == "classification":
        assert len(columns) == 1
        written = np.array(labels["y0"])[targets.keep]
        said = [targets.class_names[y] for y in targets.y]
        assert said == [text.strip() for text in written]
    else:
        assert targets.y.shape[1] == len(columns)
        assert np.isfinite(targets.y).all()


@pytest.mark.parametrize(("classes", "told"), [(1000, False), (1001, True)])
def test_very_many_classes_are_told_of(classes, told):
    note = learn([f"t{i % classes}" for i in range(3000)], "classification").note
    expected = "label 'y': 1,001 different entries in 3,000 rows, and the net has an output for"
    assert (expected in note) is told
