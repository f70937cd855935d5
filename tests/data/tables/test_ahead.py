"""Several pieces at once: in order, few ahead, and with what is raised at its place."""

import pyarrow as pa
import pytest

from xpmlp.data.tables import reading
from xpmlp.data.tables.ahead import answers
from xpmlp.data.tables.reading import read_raw
from xpmlp.data.tables.typed import typed_columns
from xpmlp.errors import InputError


@pytest.fixture(params=[1, 3])
def threads(request):
    before = pa.cpu_count()
    pa.set_cpu_count(request.param)
    yield request.param
    pa.set_cpu_count(before)


def test_answers_come_in_order_and_few_ahead(threads):
    taken = []

    def pieces():
        for piece in range(20):
            taken.append(piece)
            yield piece

    found = answers(lambda piece: piece * piece, pieces())
    for done, answer in enumerate(found):
        assert answer == done * done
        assert len(taken) <= done + threads + 1


def test_what_is_raised_comes_at_its_place(threads):
    found = answers(lambda piece: 1 / (3 - piece), range(9))
    assert [next(found) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_what_the_pieces_raise_comes_after_the_work_on_those_before(threads):
    def pieces(count):
        yield from range(count, -1, -1)
        raise LookupError

    found = answers(lambda piece: 1 / (piece - 1), pieces(1))
    with pytest.raises(ZeroDivisionError):
        next(found)
    found = answers(lambda piece: piece, pieces(1))
    assert [next(found), next(found)] == [1, 0]
    with pytest.raises(LookupError):
        next(found)


def test_a_file_in_many_chunks_is_read_the_same(threads, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_READ_BYTES", 64)
    rows = [f"{i}.5,{'ab'[i % 2]},{i:03}" for i in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["x,kind,code", *rows]))
    raw = read_raw(tmp_path / "t.csv", fractions=True)
    columns = typed_columns(raw, range(3))
    assert columns[0].values.tolist() == [i + 0.5 for i in range(300)]
    assert [columns[1].levels[place] for place in columns[1].values] == ["a", "b"] * 150
    assert raw.place(250) == f"{tmp_path / 't.csv'}, line 252"
    (tmp_path / "t.csv").write_text("\n".join(["x,kind,code", *rows, "1,2"]))
    with pytest.raises(InputError, match="line 302: expected 3 columns, got 2"):
        read_raw(tmp_path / "t.csv")
