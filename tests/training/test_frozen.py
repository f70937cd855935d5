"""Layers that keep their weights: what the others learn is what a net on their outputs learns."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset, note_steps, relative_distance
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.nn.initializers import initialize
from xpmlp.nn.network import forward_hidden
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer

CONFIG = Config(
    hidden=(6, 5),
    activation=("tanh", "sigmoid"),
    epochs=3,
    batch_size=8,
    dtype="float64",
    learning_rate=0.05,
    freeze=1,
)
NET = initialize(np, np.random.default_rng(3), (4, 6, 5, 3), bias_std=0.3)


def behind(data: Dataset, frozen: int) -> Dataset:
    """The data set as the first layers hand it on."""
    parts = {
        name: Rows(forward_hidden(np, NET[:frozen], rows.x, CONFIG.activation[:frozen])[0], rows.y)
        for name in ("train", "validation", "test")
        for rows in [getattr(data, name)]
    }
    return Dataset("behind", data.task, **parts, class_names=data.class_names)


@pytest.mark.parametrize(
    ("frozen", "options"),
    [
        (1, {"l2": 0.01, "l1": 0.001}),
        (2, {"optimizer": "adam", "clip_norm": 0.5}),
        (1, {"optimizer": "adamw", "l2": 0.1, "record": "loss"}),
        (1, {"optimizer": "muon", "l2": 0.1, "clip_norm": 0.5}),
        (2, {"init_velocity": 0.2, "l2": 0.5, "l2_per": "row"}),
    ],
    ids=str,
)
def test_the_others_learn_what_a_net_on_their_outputs_learns(backend, frozen, options):
    data, config = make_dataset(), CONFIG.replace(freeze=frozen, **options)
    whole = fit(config, data, backend=backend, initial=NET)
    short = config.replace(
        freeze=0, hidden=config.hidden[frozen:], activation=config.activation[frozen:] or "relu"
    )
    alone = fit(short, behind(data, frozen), backend=backend, initial=NET[frozen:])
    np.testing.assert_array_equal(whole.model.params[0].W, NET[0].W)
    assert relative_distance(whole.model.params[frozen:], alone.model.params) < 1e-12
    np.testing.assert_allclose(whole.history.steps, alone.history.steps, rtol=1e-10)
    assert whole.test.loss == pytest.approx(alone.test.loss, rel=1e-12)


def test_only_the_norms_of_what_is_trained_are_recorded(backend):
    run = fit(CONFIG, make_dataset(), backend=backend)
    names = ("loss", "norm_dW2", "norm_db2", "norm_dW3", "norm_db3")
    assert run.history.metric_names == names


def test_no_gradient_of_a_frozen_layer_is_computed(monkeypatch):
    """The step has moments, and so gradients, for the other layers alone."""
    steps = note_steps(monkeypatch)
    fit(CONFIG.replace(freeze=2), make_dataset(), backend=load_or_skip("array-api-strict"))
    (velocity,) = steps[-1][0].moments
    assert [layer.W.shape for layer in velocity] == [(5, 3)]


def test_dropout_of_frozen_layers_stays(backend):
    config = CONFIG.replace(dropout=(0.5, 0.0))
    with_dropout, without = (fit(c, make_dataset(), backend=backend) for c in (config, CONFIG))
    np.testing.assert_array_equal(with_dropout.model.params[0].W, without.model.params[0].W)
    assert relative_distance(with_dropout.model.params[1:], without.model.params[1:]) > 1e-3


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_members_keep_their_own_frozen_layers(name):
    backend = load_or_skip(name)
    config = CONFIG.replace(seeds=3)
    runs = fit_many(config.members(), make_dataset(), backend=backend)
    for run, own in zip(runs, config.members(), strict=True):
        alone = fit(own, make_dataset(), backend=backend)
        assert relative_distance(run.model.params, alone.model.params) < 1e-11
        np.testing.assert_array_equal(run.model.params[0].W, alone.model.params[0].W)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_run_with_frozen_layers_goes_on_as_if_it_had_never_stopped(name, tmp_path):
    backend = load_or_skip(name)
    config, data = CONFIG.replace(optimizer="adam", early_stopping=9), make_dataset()
    trainer = Trainer(config, data, backend)
    next(trainer.epochs())
    trainer.checkpoint().save(tmp_path / "one")
    again = Trainer(config, data, backend)
    again.resume(Checkpoint.load(tmp_path / "one"))
    list(again.epochs())
    whole = fit(config, data, backend=backend)
    assert relative_distance(again.model().params, whole.model.params) == 0


def test_the_last_layer_can_not_be_frozen():
    with pytest.raises(InputError, match="freeze is 3; it must be from 0 to 2, the number of hid"):
        CONFIG.replace(freeze=3)
