"""What a table was taken for, as options that take it for the same again."""

import numpy as np
import pandas as pd
import pytest

from xpmlp.data.registry import load_dataset

NAMED = "id,size,kind,same,label\n"
ROWS = "".join(f"{i},{i % 7}.5,{'ab'[i % 2]},1,{'no' if i % 3 else 'yes'}\n" for i in range(40))
POINTS = [f"{i % 5 + 1}.{i:03}" for i in range(40)]  # thousands where another has decimal commas
TABLES = {
    "left out": (NAMED + ROWS, {}),
    "asked for": (NAMED + ROWS, {"label": "2", "features": ["kind", "label"]}),
    "dropped": (NAMED + ROWS, {"label": "kind", "drop": ["size"]}),
    "without names": (ROWS, {"label": "last"}),
    "names by wish": (ROWS, {"header": True}),
    "decimal commas of a column left out": (
        "a\tb\tlabel\n" + "".join(f"{a}\t1,5\t{a[0]}\n" for a in POINTS),
        {},
    ),
    "decimal commas of the label": (
        "a\tlabel\n" + "".join(f"{a}\t{a[0]},0\n" for a in POINTS),
        {},
    ),
    "numbers of classes with commas": (
        "a\tlabel\n" + "".join(f"{a}\t{'2,000' if a < '4' else '10,000'}\n" for a in POINTS),
        {},
    ),
    "several labels": (NAMED + ROWS, {"label": "label,same", "drop": ["kind"]}),
    "several values": (NAMED + ROWS, {"label": "size,id"}),
    "names with commas": (
        '"x,y",x,y\n' + "".join(f"{i}.5,{i % 2},{i % 3}\n" for i in range(40)),
        {"label": "2,3"},
    ),
}


@pytest.mark.parametrize(("text", "wishes"), TABLES.values(), ids=TABLES)
def test_a_table_is_taken_for_the_same_by_its_own_wishes(tmp_path, text, wishes):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    first = load_dataset(path, **wishes)
    given = wishes | first.about.wishes()
    again = load_dataset(path, **given | {"header": given["header"] == "yes"})
    assert again.about.wishes() == first.about.wishes()
    for name in ("task", "label", "class_names", "columns"):
        assert getattr(again, name) == getattr(first, name)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(again, part).x, getattr(first, part).x)
        np.testing.assert_array_equal(getattr(again, part).y, getattr(first, part).y)


PATIENTS = pd.DataFrame(
    {
        "age": [float(age) for age in range(20, 60)],
        "ill": [0, 1] * 20,
        "fever, cough": [0, 0, 1, 1] * 10,
        "weight": [50.5 + i for i in range(40)],
    }
)


def test_labels_with_commas_in_their_names_are_asked_for_by_their_numbers():
    about = load_dataset(PATIENTS, label="2,3").about
    assert about.label == ("ill", "fever, cough")
    assert about.wishes()["label"] == "2,3"
    again = load_dataset(PATIENTS, label=about.wishes()["label"])
    assert again.about == about


def test_a_column_left_out_still_tells_how_numbers_are_written(tmp_path):
    """Of 1.100 beside 1,5 the point stands between thousands, though 1,5 may be left out."""
    path = tmp_path / "prices.csv"
    rows = [f"1,5;{1 + i % 7}.{100 + i};{'ab'[i % 2]}" for i in range(40)]
    path.write_text("\n".join(["rate;price;kind", *rows]))
    about = load_dataset(path).about
    assert about.columns[1].values == "1100 to 7134"
    assert about.wishes()["drop"] == ("rate",)
    assert load_dataset(path, drop=["rate"]).about.columns[1] == about.columns[1]


def test_a_label_alone_is_asked_for_by_its_name():
    assert load_dataset(PATIENTS, label="3").about.wishes()["label"] == "fever, cough"
    assert load_dataset(PATIENTS, label="ill,weight").about.wishes()["label"] == "2,4"
