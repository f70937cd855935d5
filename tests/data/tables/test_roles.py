import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.tables.by_hand import refused, table
from xpmlp.data.tables.roles import asked_features, choose_features, choose_label
from xpmlp.data.tables.typed import is_constant, typed_columns
from xpmlp.errors import InputError

NAMES = ("id", "label", "a,b", "3", "last", "price")


@pytest.mark.parametrize(
    ("wish", "places"),
    [
        ("price", (5,)),
        ("first", (0,)),
        ("last", (4,)),  # a name goes before a place
        ("3", (3,)),
        ("1", (0,)),
        ("6", (5,)),
        ("a,b", (2,)),
        ("price,id", (5, 0)),
        ("price, first ,2", (5, 0, 1)),
    ],
)
def test_a_label_by_name_or_place(wish, places):
    assert choose_label(NAMES, wish, last_is_constant=True) == (places, ())


def test_the_last_column_by_place():
    assert choose_label(("x", "y"), "last", last_is_constant=False)[0] == (1,)


@pytest.mark.parametrize("wish", ["prise", "id,prise", "0", "7", "-1", "²", "", "1.0", "9" * 5000])
def test_an_unknown_label(wish):
    refused(lambda: choose_label(NAMES, wish, last_is_constant=False), "unknown label column")


def test_an_unknown_label_may_be_misspelt():
    with pytest.raises(InputError, match="'prise' .did you mean 'price'.*choose one of: id, label"):
        choose_label(NAMES, "id,prise", last_is_constant=False)


def test_a_label_twice():
    refused(lambda: choose_label(NAMES, "id,price,1", False), "'id' twice")


def test_without_a_wish_the_last_column_is_the_label():
    assert choose_label(("a", "b", "c"), None, last_is_constant=False) == ((2,), ())


@pytest.mark.parametrize("usual", ["label", "Target", "CLASS", "y", "outcome"])
def test_another_column_may_be_meant(usual):
    names = (usual, "pixel0", "pixel1")
    places, (note,) = choose_label(names, None, last_is_constant=False)
    assert places == (2,)
    assert "'pixel1', is the label" in note
    assert note.endswith(f"--label {usual}")


def test_a_last_column_that_is_called_so_is_meant():
    assert choose_label(("x", "y", "label"), None, last_is_constant=False)[1] == ()


def test_a_constant_last_column_may_not_be_meant():
    raw = table({"a": ["1", "2"], "b": ["x", "x"]})
    notes = choose_label(raw.names, None, is_constant(raw, 1))[1]
    assert len(notes) == 1
    assert "'b', is the label, though it is the same in every row" in notes[0]
    assert len(choose_label(("label", "b"), None, last_is_constant=True)[1]) == 2


def test_features_as_asked():
    assert asked_features(NAMES, [5]) == (0, 1, 2, 3, 4)
    assert asked_features(NAMES, [5, 0], drop=["3", "label"]) == (2, 4)
    assert asked_features(NAMES, [5], features=["3", "id"]) == (0, 3)
    assert asked_features(NAMES, [5], features=["3", "id"], drop=["id"]) == (3,)


@pytest.mark.parametrize("option", ["drop", "features"])
def test_features_as_asked_wrongly(option):
    def ask(*names):
        return lambda: asked_features(NAMES, [5], **{option: names})

    refused(ask("labl"), f"unknown column in --{option}: 'labl'", "did you mean 'label'?")
    refused(ask("id", "price"), f"--{option}", "'price' is the label")
    refused(lambda: asked_features(["y"], [0]), "at least one feature", "'y' alone")
    refused(lambda: asked_features(["x", "y"], [1], drop=["x"]), "at least one feature")


def choose(columns, asked=False, unnamed=()):
    raw = table(columns, unnamed)
    places = range(len(columns))
    return choose_features(raw, typed_columns(raw, places), places, asked)


ROWS = 130
NOISE = [str(i * i % 17) for i in range(ROWS)]
COUNT = [str(i) for i in range(ROWS)]
LEFT_OUT = {
    "from 0": (COUNT, "counts the rows"),
    "from 17.0": ([f"{i + 17}.0" for i in range(ROWS)], "counts the rows"),
    "key": ([f"k{i}" for i in range(ROWS)], "every text is different"),
    "remark": (["NA"] * 110 + [f"r{i}" for i in range(20)], "every text is different"),
    "one": (["1"] * ROWS, "the same in every row"),
    "word": (["x"] * ROWS, "the same in every row"),
    "day": (["2024-03-31"] * ROWS, "the same in every row"),
    "true": (pa.array([True] * ROWS), "the same in every row"),
    "none": (["NA"] * ROWS, "empty"),
}


def test_what_is_left_out_and_why():
    columns = {"a": NOISE} | {name: entries for name, (entries, _) in LEFT_OUT.items()}
    found = choose(columns)
    assert found.kept == (0,)
    assert list(found.left_out.values()) == [reason for _, reason in LEFT_OUT.values()]
    assert found.note == (
        "left out: 'from 0', 'from 17.0' (counts the rows), 'key', 'remark' (every text is "
        "different), 'one', 'word', 'day', 'true' (the same in every row), 'none' (empty); "
        "--features NAME … keeps those that it names"
    )


KEPT = {
    "noise": NOISE,
    "backwards": COUNT[::-1],
    "with a gap": [*COUNT[:-1], "999"],
    "with one missing": [*COUNT[:-1], "NA"],
    "by halves": [f"{i}.5" for i in range(ROWS)],
    "once": ["NA"] * (ROWS - 1) + ["x"],
    "nearly one": ["1"] * (ROWS - 1) + ["2"],
    "one or missing": ["NA"] + ["1"] * (ROWS - 1),
    "pairs": [f"k{i // 3}" for i in range(ROWS)],
    "days": [f"2024-01-{i % 28 + 1:02}" for i in range(ROWS)],
}


def test_what_is_kept():
    found = choose(KEPT)
    assert found.kept == tuple(range(len(KEPT)))
    assert found.left_out == {}
    assert found.note == ""


@pytest.mark.parametrize(("rows", "kept"), [(10, True), (11, False)])
def test_few_rows_may_well_all_differ(rows, kept):
    found = choose({"a": NOISE[:rows], "n": COUNT[:rows], "k": [f"k{i}" for i in range(rows)]})
    assert (found.kept == (0, 1, 2)) == kept


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("rows", [3, 300])
def test_the_index_of_pandas(first, rows):
    frame = pd.DataFrame({"a": np.arange(rows) % 7})
    frame.index += first
    columns = {"column 1": [*map(str, frame.index)], "a": [*map(str, frame["a"])]}
    found = choose(columns, unnamed=[0])
    assert found.kept == (1,)
    assert found.left_out == {0: "row numbers without a name"}
    shuffled = {**columns, "column 1": columns["column 1"][::-1]}
    assert choose(shuffled, unnamed=[0]).kept == (1,)
    other = {**columns, "column 1": [*map(str, np.arange(rows) % 2)]}
    assert choose(other, unnamed=[0]).kept == (0, 1)


def test_features_that_are_asked_for_are_kept_if_they_can_be():
    names = ["from 0", "from 17.0", "one", "word", "day", "true"]
    columns = {name: LEFT_OUT[name][0] for name in names}
    assert choose(columns, asked=True).kept == tuple(range(6))
    assert choose(columns, asked=True).note == ""
    for name in ("key", "remark", "none"):
        entries, reason = LEFT_OUT[name]
        refused(
            lambda entries=entries, name=name: choose({"a": NOISE, name: entries}, asked=True),
            f"t.csv: --features names what can't be used: '{name}' ({reason})",
        )


def test_texts_that_are_no_categories_are_refused_together():
    ticket = [f"t{i % 100}" for i in range(ROWS)]
    cabin = [f"c{i % 70}" if i < 80 else "NA" for i in range(ROWS)]
    columns = {"a": NOISE, "Ticket": ticket, "key": LEFT_OUT["key"][0], "the cabin": cabin}
    refused(
        lambda: choose(columns),
        "t.csv: expected numbers, dates or categories, got columns of too many different texts",
        "'Ticket' (100, such as 't0'), 'the cabin' (70, such as 'c0'); ",
        "leave out: --drop Ticket 'the cabin'",
    )
    refused(lambda: choose({"t": ticket, "a": NOISE}, asked=True), "leave out of --features t")


def test_no_feature_is_left():
    refused(
        lambda: choose({"a": ["1"] * ROWS, "n": [None] * ROWS}),
        "t.csv: no feature is left; left out are 'a' (the same in every row), 'n' (empty)",
    )


def test_a_column_that_counts_is_better_than_none():
    found = choose({"a": ["1"] * ROWS, "n": COUNT})
    assert (found.kept, list(found.left_out)) == ((1,), [0])


def test_a_long_list_of_columns_is_cut():
    columns = {"a": NOISE} | {f"c{i}": ["1"] * ROWS for i in range(13)}
    found = choose(columns)
    assert len(found.left_out) == 13
    assert "'c9' and 3 more (the same in every row)" in found.note
    assert "c10" not in found.note


@given(
    st.lists(st.lists(st.sampled_from(["1", "2", "x", "NA"]), min_size=12, max_size=12)),
    st.booleans(),
)
def test_every_candidate_is_kept_or_left_out(columns, asked):
    named = {"n": NOISE[:12]} | {f"c{i}": column for i, column in enumerate(columns)}
    raw = table(named)
    candidates = asked_features(raw.names, [0]) if columns else (0,)
    typed = typed_columns(raw, candidates)
    usable = [place for place in candidates if not typed[place].missing.all()]
    if asked and len(usable) < len(candidates):
        refused(lambda: choose_features(raw, typed, candidates, asked), "(empty)")
        return
    constant = {place for place in usable if len(set(raw.columns[place].to_pylist())) == 1}
    kept = usable if asked else [place for place in usable if place not in constant]
    if not kept:
        refused(lambda: choose_features(raw, typed, candidates, asked), "no feature is left")
        return
    found = choose_features(raw, typed, candidates, asked)
    assert found.kept == tuple(kept)
    assert sorted([*found.kept, *found.left_out]) == list(candidates)
