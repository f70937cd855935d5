"""Tables of svmlight, which scikit-learn reads."""

import gzip

import numpy as np
import pytest

from xpmlp.data.blocks import Columns
from xpmlp.data.registry import load_dataset
from xpmlp.data.svmlight import read_svmlight, svmlight_blocks
from xpmlp.errors import InputError


def test_a_worked_file_packed_or_not(tmp_path):
    text = b"1 1:0.5 3:2 # a comment\n-1 2:1e3\n"
    (tmp_path / "a.svm").write_bytes(text)
    (tmp_path / "a.svm.gz").write_bytes(gzip.compress(text))
    for name in ("a.svm", "a.svm.gz"):
        x, y, begins = read_svmlight(tmp_path / name)
        assert begins == 1
        np.testing.assert_array_equal(x, [[0.5, 0, 2], [0, 1000, 0]])
        np.testing.assert_array_equal(y, [1, -1])


def test_several_labels(tmp_path):
    (tmp_path / "a.svm").write_text("1,3 1:0.5\n2 2:1\n")
    np.testing.assert_array_equal(read_svmlight(tmp_path / "a.svm")[1], [[1, 0, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 1:1\nhello\n", "line 2: expected a label and pairs place:value"),
        ("1 1:1\n1 3:1 2:1\n", "line 2: "),
        ("", "holds no rows"),
        ("1 1000000:1\n" * 2000, "unpack to 14.9 GiB.*--max-unpacked 15"),
        ("1 1:1\n2 0:0 1:0\n3 1:inf\n", "row 3: NaN and infinity"),
        ("1 1:1\nnan 1:1\n", "row 2: NaN and infinity"),
        ("1 1:1\n1 99999999999:1\n", "line 2: expected a label"),
        ("99999999999999999999 99999999999999999999:1\n", "line 1: expected a label"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    (tmp_path / "a.svm").write_text(text)
    with pytest.raises(InputError, match=words):
        read_svmlight(tmp_path / "a.svm")


def test_values_that_are_too_large_to_be_learnt(tmp_path):
    (tmp_path / "a.svm").write_text("1.5 1:1\n2 2:1\n1e300 1:1\n3 2:2\n4 1:3\n")
    with pytest.raises(
        InputError, match=r"a\.svm: its values are too large to be learnt in float32"
    ):
        load_dataset(str(tmp_path / "a.svm"))


def test_explicit_zeros_do_not_move_the_row_of_a_message(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:0 2:0\n1 1:0 2:nan\n")
    with pytest.raises(InputError, match="row 2: NaN"):
        load_dataset(str(tmp_path / "a.svm"))


def test_a_predicted_file_is_counted_as_that_of_the_training(tmp_path):
    """Its first column is 0 in every row, so it has no place 0: nothing moves for that."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (60, 3)).astype(float)
    rows = [f"{i % 2} 0:{a} 1:{b} 2:{c}" for i, (a, b, c) in enumerate(x)]
    (tmp_path / "a.svm").write_text("\n".join(rows) + "\n")
    data = load_dataset(str(tmp_path / "a.svm"))
    assert data.feature_names == ("x0", "x1", "x2")
    assert "its places count from 0" in data.note
    (tmp_path / "b.svm").write_text("0 1:5 2:7\n")
    columns, notes = Columns(3, data.feature_names), []
    (block,) = svmlight_blocks(str(tmp_path / "b.svm"), columns, 10, notes.append)
    np.testing.assert_array_equal(block.x, [[0, 5, 7]])
    (block,) = svmlight_blocks(str(tmp_path / "b.svm"), Columns(3), 10, notes.append)
    np.testing.assert_array_equal(block.x, [[5, 7, 0]])
    assert notes[-1].endswith("its places are taken to count from 1, as there is no 0")


def test_more_columns_than_are_known(tmp_path):
    (tmp_path / "a.svm").write_text("1 4:1\n")
    with pytest.raises(InputError, match="it has 4 columns, and 3 are known"):
        read_svmlight(tmp_path / "a.svm", 3)
