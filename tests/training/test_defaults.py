"""What a config leaves to the data: usual values, and those of a table."""

import numpy as np
import pytest

from xpmlp.data.registry import load_dataset
from xpmlp.training.config import LEFT_TO_DATA, Config
from xpmlp.training.defaults import filled


def table(tmp_path, rows, values):
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{'ab'[i % 2]}" for i in range(rows)]
    if values:
        lines = [f"{line[:-1]}{rng.normal():.3f}" for line in lines]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    return load_dataset(str(tmp_path / "t.csv"))


def test_a_known_set_has_the_usual_values():
    config = filled(Config(), load_dataset("iris"))
    assert config == Config().filled()
    assert (config.optimizer, config.learning_rate, config.epochs) == ("momentum", 0.1, 10)
    assert all(getattr(config, name) is not None for name in LEFT_TO_DATA)


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"), [(100, 16, 100), (1000, 32, 89), (40_000, 256, 20)]
)
def test_batch_and_epochs_follow_the_rows(tmp_path, rows, batch_size, epochs):
    data = table(tmp_path, rows, values=False)
    config = filled(Config(), data)
    assert (config.batch_size, config.epochs) == (batch_size, epochs)
    assert config.early_stopping == max(5, epochs // 4)
    assert (config.optimizer, config.learning_rate, config.dropout) == ("adamw", 0.001, (0.3,))
    assert config.l2 == min(3, max(0.02, 1000 / len(data.train)))


def test_values_learn_faster_with_less_dropout(tmp_path):
    config = filled(Config(), table(tmp_path, 200, values=True))
    assert (config.learning_rate, config.dropout) == (0.004, (0.1,))


def test_what_is_given_stays_and_the_rest_goes_with_it(tmp_path):
    data = table(tmp_path, 100, values=False)
    config = filled(Config(optimizer="sgd", epochs=7, hidden=()), data)
    assert (config.optimizer, config.learning_rate, config.l2) == ("sgd", 0.05, 0.0)
    assert (config.epochs, config.early_stopping, config.dropout) == (7, 5, (0.0,))
    assert filled(Config(l2=0.5), data).l2 == 0.5
    assert filled(config, data) == config
