"""What Python hands in to train on, as a data set."""

from typing import Any

from xpmlp.data.dataset import Dataset
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.setup import load_for
from xpmlp.training.targets import require_dataset


def dataset_of(config: Config, data: Any = None, y: Any = None) -> Dataset:
    """Return the data set that `fit` trains on: the one handed in, else what the config names.

    Raises InputError for what is none.
    """
    if y is not None:
        raise InputError("arrays are not taken yet; xpmlp.Dataset makes a data set of them")
    return load_for(config) if data is None else require_dataset(data)
