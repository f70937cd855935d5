"""What tests see on a machine with a GPU: `test_conftest.py` runs this file on a pretended one."""

import os

import pytest

from tests.conftest import VISIBLE
from xpmlp.backends import registry


@pytest.fixture(scope="module")
def seen_by_a_module():
    return registry.query_driver().gpus


def test_an_ordinary_test_sees_none(seen_by_a_module):
    assert (registry.query_driver().gpus, seen_by_a_module) == (0, 0)
    assert os.environ[VISIBLE] == ""


@pytest.mark.cuda
def test_a_test_for_gpus_sees_one():
    assert (registry.query_driver().gpus, os.environ[VISIBLE]) == (1, "0")
