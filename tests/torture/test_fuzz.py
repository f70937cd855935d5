"""A few hundred damaged files for every reader; `python -m tests.torture.fuzz` has more."""

import pytest

from tests.thorough import examples
from tests.torture.fuzz.driver import blind, in_new_folder
from tests.torture.fuzz.formats import FORMATS

FEW = {
    "table": 20,
    "parquet": 40,
    "arrow": 60,
    "svmlight": 20,
    "npz": 100,
    "data set": 20,
    "run": 15,
}


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_answered(name):
    few = FEW.get(name, 150)
    runs = examples(4 * few, few)
    trial = in_new_folder(lambda folder: blind(FORMATS[name], folder, runs))
    assert trial.finds == {}
    assert trial.answered
