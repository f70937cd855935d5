"""Where a script runs: how it may end, what it may fetch, and rows in their last bit."""

import sys
from urllib.error import URLError

import numpy as np
import pytest

from bench.examples import stage
from bench.examples.stage import LAST_BIT, NoDataError, guarded_fetch, nudged, run
from tests.data.conftest import write_pair


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """A stage in this process, which finds its own things again, and no MNIST."""
    monkeypatch.setattr(stage, "prepare", lambda figures: None)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "argv", ["before"])
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)


def fetch_openml(name="", **options):
    raise URLError("no net")


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("assert __name__ == '__main__' and __file__.endswith('script.py')", "", ""),
        ("import sys; sys.exit()", "", ""),
        ("import sys; sys.exit('no')", "failed", "SystemExit: no"),
        ("raise ValueError('no\\nway')", "failed", "ValueError: no way"),
        ("x = ", "failed", "SyntaxError: "),
        ("import no_such_library", "unavailable", "No module named 'no_such_library'"),
    ],
)
def test_a_script_may_end_in_several_ways(tmp_path, text, status, reason):
    outcome = run(text, tmp_path / "script.py", tmp_path)
    assert outcome["status"] == status
    assert outcome["reason"].startswith(reason)
    assert outcome["seconds"] >= 0


def test_what_can_not_be_fetched_is_said():
    with pytest.raises(NoDataError, match=r"fetch_openml\(bikes\): URLError: .*no net"):
        guarded_fetch(fetch_openml)("bikes", version=2)
    assert guarded_fetch(lambda name: name)("here") == "here"


@pytest.mark.parametrize("named", [False, True])
def test_mnist_comes_from_this_machine_as_openml_has_it(tmp_path, named):
    for part, rows in (("train", 20), ("t10k", 5)):
        write_pair(tmp_path / "mnist", part, rows)
    words, options = ((), {"name": "mnist_784"}) if named else (("mnist_784",), {})
    fetch = guarded_fetch(fetch_openml)
    x, y = fetch(*words, **options, return_X_y=True, as_frame=False)
    assert (len(x), x.dtype, y.dtype) == (25, np.float64, object)
    assert 200 < x.max() <= 255
    assert y[:3].tolist() == ["0", "1", "2"]
    assert fetch(*words, **options, as_frame=False).data.shape == x.shape


def test_without_mnist_it_is_fetched():
    with pytest.raises(NoDataError, match="mnist_784"):
        guarded_fetch(fetch_openml)("mnist_784", as_frame=False)


def test_nudged_rows_differ_in_their_last_bit():
    x = np.array([[1.0, 0.0, -3.0]])
    other = nudged(lambda self, X, y: X)(None, x, None)
    assert 0 < np.abs(other - x).max() <= 4 * LAST_BIT
    assert other[0, 1] == 0
