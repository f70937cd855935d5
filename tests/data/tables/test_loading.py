"""Tables of one's own as data sets: which column is learnt, what is left out, what is said."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from xpmlp.data.registry import load_dataset
from xpmlp.errors import InputError

RNG = np.random.default_rng(0)
KINDS = ("oak", "birch", "pine")


def write(path, names, rows, separator=","):
    lines = [separator.join(map(str, row)) for row in rows]
    path.write_text("\n".join([separator.join(names), *lines] if names else lines) + "\n")
    return str(path)


def spectra(rows=90):
    """Four decimals that differ by kind, and the kind."""
    return [
        [*(round(RNG.normal(i % 3, 0.3), 3) for _ in range(4)), KINDS[i % 3]] for i in range(rows)
    ]


def prices(entry="3.5", rows=400):
    """Area, rooms and a price; one entry of the last is given."""
    table = [[round(RNG.uniform(30, 200), 1), int(RNG.integers(1, 7))] for _ in range(rows)]
    for i, row in enumerate(table):
        row.append(entry if i == 250 else round(row[0] * 0.01 + row[1] * 0.2, 3))
    return table


@pytest.mark.parametrize("names", [("w400", "w450", "w500", "w550"), ("400", "450", "500", "550")])
def test_names_that_are_numbers_are_no_row(tmp_path, names):
    data = load_dataset(write(tmp_path / "t.csv", [*names, "kind"], spectra()))
    assert data.class_names == ("birch", "oak", "pine")
    assert tuple(rule.name for rule in data.columns) == names
    assert sum(map(len, (data.train, data.validation, data.test))) == 90


@pytest.mark.parametrize("missing", ["NA", "?", "null", ""])
def test_a_row_without_a_label_is_left_out_and_counted(tmp_path, missing):
    data = load_dataset(write(tmp_path / "t.csv", ["area", "rooms", "price"], prices(missing)))
    assert data.task == "regression"
    assert sum(map(len, (data.train, data.validation, data.test))) == 399
    assert "1 of 400 rows" in data.note


@pytest.mark.parametrize("entry", ["<0.5", "12.3kg"])
@pytest.mark.parametrize("task", [None, "regression"])
def test_one_unclean_label_is_an_error_that_names_its_line(tmp_path, entry, task):
    path = write(tmp_path / "t.csv", ["area", "rooms", "price"], prices(entry))
    with pytest.raises(InputError, match=f"line 252, column 'price': expected a number, .*{entry}"):
        load_dataset(path, task=task)


@pytest.mark.parametrize(
    "labels",
    [
        ("1098765432109876543", "1234567890123456789"),
        ("00501", "10001"),
        ("12", "9007199254740992", "9007199254740993"),
        ("1e5", "2e5"),
    ],
)
def test_labels_stay_as_they_are_written(tmp_path, labels):
    k = len(labels)
    rows = [[round(RNG.normal(), 3), round(RNG.normal(), 3), labels[i % k]] for i in range(20 * k)]
    data = load_dataset(write(tmp_path / "t.csv", ["a", "b", "who"], rows))
    assert data.class_names == labels


def test_the_row_numbers_of_a_frame_are_left_out(tmp_path):
    frame = pd.DataFrame(RNG.normal(size=(60, 2)), columns=["a", "b"]).round(3)
    frame.assign(kind=np.arange(60) // 20).to_csv(tmp_path / "t.csv")
    data = load_dataset(str(tmp_path / "t.csv"))
    assert [rule.name for rule in data.columns] == ["a", "b"]
    assert "left out: 'column 1' (row numbers without a name)" in data.note


def test_a_table_of_images_has_its_label_first(tmp_path):
    pixels = RNG.integers(0, 256, (40, 9))
    rows = [[i % 2, *row] for i, row in enumerate(pixels)]
    path = write(tmp_path / "t.csv", ["label", *(f"pixel{i}" for i in range(9))], rows)
    data = load_dataset(path, validation=0)
    assert (data.image_shape, data.class_names, data.scale) == ((3, 3), ("0", "1"), "unit")
    assert "taken for images, with the label in column 'label'" in data.note
    assert data.train.x.max() <= 1.0


def test_another_column_that_is_called_label_is_remarked_on(tmp_path):
    rows = [[i % 2, *row[:3]] for i, row in enumerate(spectra(40))]
    data = load_dataset(write(tmp_path / "t.csv", ["label", "a", "b", "c"], rows))
    assert data.label == ("c",)
    assert "though another is called 'label': --label label" in data.note
    assert load_dataset(str(tmp_path / "t.csv"), label="first").class_names == ("0", "1")


@pytest.mark.parametrize("wish", ["wet,cold", "3,4"])
def test_several_labels(tmp_path, wish):
    rows = [[*row[:2], i % 2, i % 3 % 2] for i, row in enumerate(spectra(60))]
    data = load_dataset(write(tmp_path / "t.csv", ["a", "b", "wet", "cold"], rows), label=wish)
    assert (data.task, data.label) == ("multilabel", ("wet", "cold"))
    assert data.train.y.shape[1] == 2


def test_every_column_has_a_role_and_no_other_is_trained_on(tmp_path):
    names = ["id", "size", "when", "open", "kind", "same", "empty", "code", "price"]
    rows = [
        [
            i,
            "" if i % 9 == 0 else round(RNG.normal(), 2),
            f"2024-03-{i % 28 + 1:02}",
            ("yes", "no")[i % 2],
            KINDS[i % 3],
            1,
            "",
            f"{i % 7:03}",
            round(RNG.normal(), 3),
        ]
        for i in range(70)
    ]
    data = load_dataset(write(tmp_path / "t.csv", names, rows, ";"), drop=["code"])
    about = {column.name: column for column in data.about.columns}
    assert list(about) == names
    assert {name: column.role for name, column in about.items()} == {
        **dict.fromkeys(("id", "same", "empty", "code"), "left out"),
        **dict.fromkeys(("size", "when", "open", "kind"), "feature"),
        "price": "label",
    }
    assert [rule.name for rule in data.columns] == ["size", "when", "open", "kind"]
    assert [about[n].type for n in ("size", "when", "open", "kind")] == [
        "number",
        "date",
        "yes/no",
        "category",
    ]
    assert (about["size"].missing, about["kind"].distinct) == (8, 3)
    assert data.about.layout == "separated by semicolons"
    assert data.n_features == data.about.inputs == 2 + 1 + 1 + 3
    again = load_dataset(str(tmp_path / "t.csv"), **wishes_of(data))
    np.testing.assert_array_equal(again.train.x, data.train.x)
    np.testing.assert_array_equal(again.train.y, data.train.y)


def wishes_of(data):
    wishes = data.about.wishes()
    header = wishes.pop("header")
    return wishes | {"header": None if header is None else header == "yes"}


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_frames_are_files_without_a_file(tmp_path, library):
    rows = spectra()
    path = write(tmp_path / "t.csv", ["a", "b", "c", "d", "kind"], rows)
    frame = library({name: [row[i] for row in rows] for i, name in enumerate([*"abcd", "kind"])})
    of_frame, of_file = load_dataset(frame), load_dataset(path)
    np.testing.assert_array_equal(of_frame.train.x, of_file.train.x)
    assert of_frame.class_names == of_file.class_names


def test_svmlight(tmp_path):
    lines = [f"{1 - i % 2 * 2} 1:{0.5 * i} 3:{i % 5}" for i in range(40)]
    (tmp_path / "t.svm").write_text("\n".join(lines))
    data = load_dataset(str(tmp_path / "t.svm"))
    assert (data.class_names, data.n_features, data.scale) == (("-1", "1"), 3, "auto")
    with pytest.raises(InputError, match="no named columns"):
        load_dataset(str(tmp_path / "t.svm"), label="a")


def test_wishes_are_for_tables():
    with pytest.raises(InputError, match="iris is no table of your own"):
        load_dataset("iris", drop=["a"])


def test_unscaled_seconds_lose_digits_and_that_is_said(tmp_path):
    rows = [[1_700_000_000 + 7 * i % 600, round(RNG.normal(), 3)] for i in range(60)]
    path = write(tmp_path / "t.csv", ["time", "value"], rows)
    assert "unscaled, 'time' lose digits in float32" in load_dataset(path, scale="none").note
    assert "lose digits" not in load_dataset(path).note
