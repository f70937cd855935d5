"""Any table: it is taken for what `about` says, to the last column, or refused in one line."""

import warnings
from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from xpmlp import load_dataset
from xpmlp.data.blocks import Columns
from xpmlp.data.tables.known import Known, stream_known
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.preparing import matrix
from xpmlp.errors import InputError

SEPARATORS = ",;\t| "
WORDS = ("a", "B", "yes", "No", "f", "t", "straße", "#1", "x, y", "1e5", "inf", "é\nù", 'say "hi"')
NAMES = ("a", "A", "label", "y", "0", "1", "2", "1998", "", " ", "a=b", "a missing", "#", "x9", "-")
ENTRIES = (
    st.integers(-3, 3).map(str),
    st.integers().map(str),
    st.integers(0, 99).map("{:05d}".format),
    st.floats().map(str),
    st.floats(-9, 9).map("{:.2f}".format),
    st.floats(-1e6, 1e6).map("{:,.1f}".format),
    st.floats(0, 1e4).map(lambda number: f"{number:.2f}".replace(".", ",")),
    st.integers(0, 9999).map(lambda day: str(date(2000, 1, 1) + timedelta(day))),
    st.integers(0, 999).map(lambda day: f"{date(2000, 1, 1) + timedelta(day):%d/%m/%Y}"),
    st.datetimes().map(str),
    st.booleans().map(str),
    st.sampled_from(WORDS),
    st.text(max_size=4),
    st.sampled_from(MISSING),
)


@st.composite
def columns(draw, rows):
    """The entries of a column: of one sort mostly, or one of many, or rising, with gaps or not."""
    sort = draw(st.sampled_from(ENTRIES))
    few = draw(st.none() | st.lists(sort, min_size=1, max_size=3))
    entries = st.sampled_from(few) if few else sort
    if draw(st.booleans()):
        entries |= st.sampled_from(draw(st.sampled_from([MISSING, ("",), ("?", "oops")])))
    if draw(st.integers(0, 9)) == 0:
        start = draw(st.integers(0, 9))
        return [*map(str, range(start, start + rows))]
    return draw(st.lists(entries, min_size=rows, max_size=rows))


@st.composite
def tables(draw):
    """The text of a table."""
    rows = draw(st.integers(0, 12) | st.integers(13, 90))
    width = draw(st.sampled_from([1, 2, 2, 3, 3, 4, 5, 6]))
    body = [draw(columns(rows)) for _ in range(width)]
    lines = [*map(list, zip(*body, strict=True))]
    if draw(st.booleans()):
        names = st.lists(st.sampled_from(NAMES) | st.text(max_size=3), min_size=width)
        lines.insert(0, draw(names)[:width])
    separator = draw(st.sampled_from(SEPARATORS))
    quotes = draw(st.booleans())
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(separator.join(_entry(one, separator, quotes) for one in row) for row in lines)


def _entry(text, separator, quotes):
    """Write an entry as a table has it, mostly."""
    if quotes or (text.isprintable() and separator not in text and '"' not in text):
        return f'"{text.replace(chr(34), 2 * chr(34))}"' if quotes else text
    return text if len(text) % 2 else f'"{text}"'


def wishes():
    """Some of what may be asked for; names that no table has are among them."""
    return st.fixed_dictionaries(
        {},
        optional={
            "label": st.sampled_from(["first", "last", "2", "1,2", "a"]),
            "task": st.sampled_from(["classification", "regression"]),
            "header": st.booleans(),
            "drop": st.sampled_from([["x1"], ["a"], ["nobody"]]),
            "features": st.sampled_from([["x1"], ["x2", "a"]]),
            "scale": st.sampled_from(["none", "center", "unit", "standard", "robust"]),
            "validation": st.sampled_from([0, 0.3, 2]),
        },
    )


def load(path, **asked):
    """Load a table where no warning may come."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_dataset(path, **asked)


def check_about(data, asked):
    """Every column is a feature, the label or left out, and the line for people says which."""
    roles = {role: [] for role in ("feature", "label", "left out")}
    for column in data.about.columns:
        roles[column.role].append(column.name)
    assert [rule.name for rule in data.columns] == roles["feature"]
    assert sorted(data.label) == sorted(data.about.label) == sorted(roles["label"])
    assert len(data.feature_names) == data.n_features == data.about.inputs
    assert {*asked.get("drop", ())} <= {*roles["left out"]}
    line = data.about.line()
    assert "\n" not in line
    assert all(repr(name) in line for name in roles["left out"][:1])


def check_again(data, path, asked):
    """What the run would write into its config takes the table for the same."""
    again = load(path, **(asked | data.about.wishes() | {"header": data.about.header}))
    assert again.columns == data.columns
    assert again.label == data.label
    np.testing.assert_array_equal(again.train.x, data.train.x)
    np.testing.assert_array_equal(again.train.y, data.train.y)


def check_known(data, path):
    """The rows are read by the rules of the training as they were without."""
    known = Known(data.columns, Columns(len(data.columns), tuple(r.name for r in data.columns)))
    known = known._replace(label=data.label)
    rows = [
        matrix(data.columns, piece.columns, scaling=data.scaling, dtype="float32")
        for piece in stream_known(path, known, 7, lambda note: None)
    ]
    found = {row.tobytes() for row in np.concatenate(rows)}
    assert {row.tobytes() for row in data.train.x} <= found


@settings(max_examples=examples(80, few=20), deadline=None)
@given(text=tables(), asked=wishes())
def test_a_table_is_taken_for_what_about_says_or_refused_in_a_line(text, asked, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode(errors="replace"))
    try:
        data = load(path, **asked)
    except InputError as error:
        text = str(error)
    else:
        check_about(data, asked)
        check_again(data, path, asked)
        if "header" not in asked:
            check_known(data, path)
        return
    assert len(text.splitlines()) == 1
