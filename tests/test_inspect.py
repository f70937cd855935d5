"""The inspect command: what a table is taken for."""

import json

from tests.commands import runner
from xpmlp import inspect

run = runner(inspect.main)
TABLE = "size,kind,price\n" + "".join(
    f"{'' if i == 3 else i * i},{('flat', 'barn')[i % 2]},{i * 1.5}\n" for i in range(40)
)


def test_a_line_for_each_column(capsys, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    code, out, err = run(capsys, tmp_path / "t.csv")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{tmp_path / 't.csv'}: 40 rows, separated by commas"
    assert lines[1].startswith("label 'price', the last column (regression), from 1 number, 1 cat")
    assert lines[3].split()[:5] == ["column", "type", "missing", "distinct", "values"]
    assert lines[4].split()[:4] == ["size", "number", "1", "39"]
    assert "flat 50%" in lines[5]
    assert lines[6].endswith("values, standardised inside the net but for Poisson")


def test_json_and_the_options_of_train(capsys, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    options = ("--label", "kind", "--drop", "price", "--json")
    code, out, _ = run(capsys, tmp_path / "t.csv", *options)
    figures = json.loads(out)
    assert code == 0
    assert (figures["task"], figures["label"]) == ("classification", ["kind"])
    assert [column["role"] for column in figures["columns"]] == ["feature", "label", "left out"]


def test_what_is_refused(capsys, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    for arguments, words in (
        (("iris",), "iris is a set that xpmlp knows"),
        ((tmp_path / "none.csv",), "there is no such file"),
        ((tmp_path / "t.csv", "--label", "prize"), "did you mean 'price'"),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, "")
        assert words in err
        assert len(err.splitlines()) == 1
