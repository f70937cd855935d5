"""The stand-in, entered, and its CuPy."""

import importlib

import pytest

from tests.fake_cuda import install


@pytest.fixture
def fake(monkeypatch):
    fake = install(monkeypatch)
    fake.enter(1)
    yield fake
    fake.finish()
    fake.enter(-1)
    assert fake.depth == 0


@pytest.fixture
def cupy(fake):
    return importlib.import_module("cupy")
