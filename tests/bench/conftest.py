import pytest

from bench import processes
from bench.cases import case_of, make_problem


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """The contenders of tests.bench.fakes, and random data."""
    monkeypatch.setattr(processes, "TABLE", "tests.bench.fakes")
    monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / name)


@pytest.fixture
def case():
    """A net of two hidden layers for 50 rows: a batch of 32, and a ragged one."""
    return case_of(5, 3, batch_size=32, rows=50)


@pytest.fixture
def problem(fakes, case):
    return make_problem(case)
