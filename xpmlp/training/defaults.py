"""What a config leaves to the data, filled in."""

import math
from typing import Any

from xpmlp.data.dataset import Dataset
from xpmlp.training.config import Config
from xpmlp.training.targets import require_config, require_dataset

CLASS_STEPS, VALUE_STEPS = 2000, 4000
OTHER_RATES = {"rmsprop": 0.001, "adam": 0.001, "adam_epsilon_hat": 0.001, "muon": 0.005}


def filled(config: Config, data: Dataset) -> Config:
    """Return the config with a value for every option that is left to the data.

    A table of one's own gets what was best over many tables (xpmlp/data/tables/README.md has the
    measurement), any other data set the usual values. Raises InputError for what is no data set.
    """
    table = require_dataset(data).columns
    return require_config(config).filled(**_for_table(config.given(), data) if table else {})


def _for_table(given: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """Return the options for a table: a batch and epochs that suit its rows, dropout, AdamW."""
    rows, values = len(data.train), data.task == "regression"
    batch_size = given.get("batch_size", batch_size_for(rows))
    steps = VALUE_STEPS if values else CLASS_STEPS
    epochs = given.get("epochs", min(100, max(20, round(steps * (batch_size or rows) / rows))))
    about = {
        "hidden": (256, 256),
        "dropout": 0.0 if given.get("hidden") == () else 0.1 if values else 0.3,
        "batch_size": batch_size,
        "epochs": epochs,
        "early_stopping": max(5, epochs // 4) if len(data.validation) else 0,
    }
    return about | _steps(given.get("optimizer", "adamw"), rows, values)


def batch_size_for(rows: int) -> int:
    """Return the power of two that is nearest to a sixteenth of the rows, from 16 to 256."""
    return min(256, max(16, 1 << max(0, round(math.log2(rows / 16)))))


def _steps(optimizer: str, rows: int, values: bool) -> dict[str, Any]:
    """Return the optimiser's own numbers; the fewer rows, the more AdamW lets weights decay."""
    if optimizer != "adamw":
        return {"learning_rate": OTHER_RATES.get(optimizer, 0.05)}
    return {
        "optimizer": "adamw",
        "learning_rate": 0.004 if values else 0.001,
        "beta2": 0.95,
        "l2": min(3.0, max(0.02, 1000 / rows)),
    }
