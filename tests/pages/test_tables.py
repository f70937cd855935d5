"""The table of mistakes shows rows as their table has them."""

from types import SimpleNamespace

import numpy as np

from tests.made_columns import category, date, number
from tests.test_export_tables import table_net
from xpmlp.data.dataset import Rows
from xpmlp.pages.tables import class_table, mistakes_table

COLUMNS = [
    number("age", 39.5, None, 50, 20),
    category("work", "state", None, "private", "private"),
    date("since", "2024-02-29", "1960-01-02", "1999-12-31", "1970-01-01"),
]


def test_mistakes_have_the_entries_of_their_columns():
    model = table_net(COLUMNS, dtype="float32")
    x = model.prepare(COLUMNS)
    logits = model.scaled_logits(x)
    wrong = (logits.argmax(axis=1) + 1) % 3
    run = SimpleNamespace(
        model=model,
        data=SimpleNamespace(test=Rows(x, wrong)),
        test=SimpleNamespace(logits=logits),
    )
    page = mistakes_table(run)
    for text in ("age", "39.5", "work", "state", "since", "2024-02-29", "1960-01-02"):
        assert f">{text}<" in page, text
    assert page.count(">missing<") == 2
    assert "work=state" not in page


def test_mistakes_of_a_plain_matrix_have_its_features():
    model = table_net([number("a", 1, 2, 4), number("b", 5, 6, 7)], "quantile")
    x = model.scale_inputs(np.array([[1.0, 5.0], [4.0, 6.5]]))
    model = SimpleNamespace(**{**vars(model), "columns": (), "outputs_of": model.outputs_of})
    logits = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    run = SimpleNamespace(
        model=model,
        data=SimpleNamespace(test=Rows(x, np.array([1, 0]))),
        test=SimpleNamespace(logits=logits),
    )
    page = mistakes_table(run)
    for text in ("a", "b", "1", "5", "4", "6.5"):
        assert f">{text}<" in page, text


def test_of_many_classes_those_with_the_most_rows_have_a_line():
    """Classes 100 to 299 have two rows each, the others one; all are right."""
    y = np.concatenate([np.arange(300), np.arange(100, 300)])
    names = tuple(f"c{i}" for i in range(300))
    run = SimpleNamespace(
        model=SimpleNamespace(class_names=names),
        data=SimpleNamespace(test=Rows(np.zeros((500, 1)), y)),
        test=SimpleNamespace(logits=np.eye(300)[y]),
    )
    page = class_table(run)
    assert ">c100<" in page
    assert ">c299<" in page
    assert ">c99<" not in page
    assert "The 200 classes with the most rows, of 300; the mean is of all of them" in page
    assert page.count(">1.0000<") == 3 * 201
