"""How much is tried: everything with --all, or where a file is named; else what is quick."""

import os

import pytest

VARIABLE = "XPMLP_TEST_ALL"


def runs_all(config: pytest.Config) -> bool:
    """Tell whether the tests marked `thorough` run."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return named or bool(config.getoption("--all"))


def examples(number: int, few: int) -> int:
    """Return how many random cases a test tries."""
    return number if os.environ.get(VARIABLE) else few
