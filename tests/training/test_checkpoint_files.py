"""Checkpoints whose parts can not be true: a line that says what is wrong, before any is used."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.errors import InputError
from xpmlp.training.checkpoint import FORMAT, Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.pieces import Unfinished
from xpmlp.training.tensors import read_tensors, write_tensors
from xpmlp.training.trainer import Trainer


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The tensors and the metadata of a checkpoint with all that one can have."""
    config = Config(hidden=(3,), epochs=2, batch_size=8, early_stopping=3, optimizer="adam")
    trainer = Trainer(config, make_dataset(dtype="float32"), load_or_skip("numpy"))
    list(trainer.epochs())
    metrics, rates = trainer.history.steps[:2], trainer.history.learning_rates[:2]
    trainer.hold(Unfinished(trainer.seat, metrics, rates, 1.0))
    path = tmp_path_factory.mktemp("saved") / "checkpoint"
    trainer.checkpoint().save(path)
    return read_tensors(path, FORMAT, lambda tensors, about: (tensors, about))


def loaded(parts, path, tensors=(), about=()):
    """Return the checkpoint with some parts changed; None takes one away."""
    changed = [
        {k: v for k, v in {**whole, **dict(some)}.items() if v is not None}
        for whole, some in zip(parts, (tensors, about), strict=True)
    ]
    write_tensors(path, changed[0], FORMAT, changed[1])
    return Checkpoint.load(path)


def test_a_whole_one_is_read(parts, tmp_path):
    found = loaded(parts, tmp_path / "c")
    assert found.place == (2, 2)
    assert found.best_params is not None


F4 = np.zeros((4, 3), np.float32)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"params.0.b": F4}, "its moments.0.0.b has the shape"),
        ({"params.1.W": F4.astype(np.int32)}, "its params.1.W is of int32"),
        ({"moments.1.1.W": F4}, "its moments.1.1.W has the shape (4, 3), expected 3 x 3"),
        ({"moments.1.1.W": None}, "KeyError: 'moments.1.1.W'"),
        ({"moments.2.0.W": F4}, "it holds moments.2.0.W, which is no part of it"),
        ({"best.0.W": F4[:3]}, "its best.0.W has the shape (3, 3), expected 4 x 3"),
        ({"best.1.b": None}, "KeyError: 'best.1.b'"),
        ({"unfinished.params.0.W": F4.T.copy()}, "its unfinished.params.0.W has the shape"),
        ({"unfinished.rates": np.zeros(3)}, "its unfinished epoch has 2 steps and 3 rates"),
        ({"step": np.zeros(2, np.int64)}, "its count of steps is no whole number"),
        ({"unfinished.step": F4}, "its count of steps is no whole number"),
        ({"steps": np.zeros((3, 4, 5))}, "its 2 epochs have steps (3, 4, 5)"),
        ({"rates": np.zeros((2, 3))}, "its 2 epochs have steps"),
        ({"steps": None}, "KeyError: 'steps'"),
    ],
)
def test_tensors_that_do_not_belong_together(parts, tmp_path, tensors, said):
    with pytest.raises(InputError) as error:
        loaded(parts, tmp_path / "c", tensors)
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'c'} is damaged: ")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"config": [1]}, "its config is [1], expected an object"),
        ({"fingerprint": 3}, "its fingerprint is 3, expected a text"),
        ({"n_layers": True}, "its n_layers is True, expected a whole number"),
        ({"n_moments": 10**30}, "expected a whole number"),
        ({"n_layers": 10**15}, "it says 1000000000000000 layers"),
        ({"n_layers": 0, "n_moments": 10**15}, "it says 0 layers"),
        ({"n_moments": -1}, "-1 moments"),
        ({"n_layers": 3}, "KeyError: 'params.2.W'"),
        ({"best_loss": "low"}, "its best_loss is 'low', expected a finite number or null"),
        ({"epochs": {"epoch": 1}}, "its epochs is"),
        ({"epochs": [{"epoch": 1}]}, "KeyError: 'learning_rate'"),
        ({"rates": [{}]}, "KeyError: 'learning_rate'"),
        ({"unfinished_seconds": "1"}, "its unfinished_seconds is '1'"),
        ({"generator": {}}, "is damaged"),
        ({"generator": None}, "KeyError: 'generator'"),
    ],
)
def test_metadata_of_other_types(parts, tmp_path, about, said):
    with pytest.raises(InputError) as error:
        loaded(parts, tmp_path / "c", about=about)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_generator_beyond_its_numbers(parts, tmp_path):
    state = dict(parts[1]["generator"], state={"state": 2**200, "inc": 1})
    with pytest.raises(InputError, match="is damaged: OverflowError"):
        loaded(parts, tmp_path / "c", about={"generator": state})


def test_a_history_of_other_steps_does_not_go_on(parts, tmp_path):
    trainer = Trainer(
        Config.from_dict(parts[1]["config"]), make_dataset(dtype="float32"), load_or_skip("numpy")
    )
    other = {"steps": np.zeros((2, 5, 1)), "rates": np.zeros((2, 5))}
    with pytest.raises(InputError, match=r"steps of shape \(2, 5, 1\), and the run 4 steps with 5"):
        trainer.resume(loaded(parts, tmp_path / "c", other))
    other = {"unfinished.metrics": np.zeros((4, 5)), "unfinished.rates": np.zeros(4)}
    with pytest.raises(InputError, match="the run 4 steps with 5 metrics"):
        trainer.resume(loaded(parts, tmp_path / "c", other))
    trainer.resume(loaded(parts, tmp_path / "c"))
    assert trainer.place == (2, 2)
