"""What a config leaves to the data, filled in."""

from xpmlp.data.dataset import Dataset
from xpmlp.training.config import Config


def filled(config: Config, data: Dataset) -> Config:
    """Return the config with a value for every option that is left to the data."""
    return config.filled()
