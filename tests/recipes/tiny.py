"""Recipes that train in no time, for the tests of the reports and of the command."""

import numpy as np

from xpmlp.errors import DataUnavailableError, RunError
from xpmlp.recipes.base import (
    Golden,
    Picture,
    Property,
    Published,
    Recipe,
    Table,
    Training,
    values,
)
from xpmlp.training.config import Config

CONFIG = Config(
    dataset="xor",
    hidden=(8,),
    activation="tanh",
    optimizer="sgd",
    learning_rate=0.3,
    lr_schedule="constant",
    batch_size=0,
    epochs=20,
    seeds=(0, 1, 2),
    dtype="float64",
)
TRAINING = Training(CONFIG, quick={"seeds": (0, 1), "epochs": 3})
ABOUT = """
## What is done

A net learns XOR:

```python
# not a heading
```

### Why

It can.
"""


def unavailable(config):
    raise DataUnavailableError("the rows are not on this machine; put them into DIR")


def diverging(config):
    raise RunError("the loss became nan in epoch 1")


def losses(results):
    return values(results.runs("xor"), "train_loss")


def axes_of(results):
    from xpmlp.pictures.style import dress, new_figure

    figure = new_figure(2, 2)
    dress(figure.subplots(), "x", "y")
    return figure


def xor_recipe(**changes):
    """Return a recipe all of whose verdicts are good, with changes of its fields."""
    fields = {
        "name": "tiny-xor",
        "title": "XOR | or not",
        "source": "a course, homework 0",
        "about": ABOUT,
        "trainings": {"xor": TRAINING},
        "checks": [
            Golden("ln 2", float(np.log(2)), lambda results: np.log(2)),
            Published("training loss | far off", 1e6, losses, explained_by="it learns"),
            Property("it learns", lambda results: (True, "|a| < |b|")),
            Property("it ends well", lambda results: (True, "so it does"), quick=False),
        ],
        "pictures": [Picture("axes", "Empty axes.", axes_of)],
        "tables": [Table("A table", lambda results: "a  b\n1  2\n")],
    }
    return Recipe(**fields | changes)
