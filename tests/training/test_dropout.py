"""Dropout in whole runs: where it acts, where it doesn't, and that nothing else changes."""

from functools import partial

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.errors import InputError
from xpmlp.nn.dropout import masks
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import softmax
from xpmlp.nn.network import forward, loss_and_grads
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer
from xpmlp.types import Batch

BASE = Config(hidden=(9, 7), epochs=4, batch_size=8, dtype="float64", learning_rate=0.05)


def assert_same_bits(ours, theirs):
    np.testing.assert_array_equal(ours.history.steps, theirs.history.steps)
    for mine, other in zip(ours.model.params, theirs.model.params, strict=True):
        np.testing.assert_array_equal(mine.W, other.W)
        np.testing.assert_array_equal(mine.b, other.b)


@pytest.mark.parametrize("dropout", [0, 0.0, (0.0, 0.0), [0, 0.0]])
def test_a_rate_of_zero_is_the_net_without(backend, dropout):
    plain, data = BASE.replace(epochs=2), make_dataset()
    run = fit(plain.replace(dropout=dropout), data, backend=backend)
    assert run.trainer.objective == fit(plain, data, backend=backend).trainer.objective
    assert run.trainer.hyper.seed is None
    assert_same_bits(run, fit(plain, data, backend=backend))


def test_a_step_is_that_of_its_masks(backend):
    """One step of plain SGD over all rows, worked with the masks of the run's seed and step 0."""
    config = BASE.replace(
        dropout=(0.3, 0.6), optimizer="sgd", batch_size=0, epochs=1, lr_schedule="constant", seed=3
    )
    data = make_dataset()
    start = initialize(np, np.random.default_rng(0), (4, 9, 7, 3))
    trainer = Trainer(config, data, backend, initial=start)
    seed = backend.to_numpy(trainer.hyper.seed).astype(np.int32)
    x, y = data.train.x, data.train.y
    drawn = masks(np, (0.3, 0.6), start, x, np.asarray(0), seed)
    options = {"activations": ("relu", "relu"), "loss": "softmax_cross_entropy"}
    expected = loss_and_grads(np, start, Batch(x, y), masks=drawn, **options)
    (record,) = trainer.epochs()
    assert trainer.history.steps[0, 0] == pytest.approx(float(expected.loss), rel=1e-12)
    norms = [np.linalg.norm(leaf) for layer in expected.grads for leaf in layer]
    np.testing.assert_allclose(trainer.history.steps[0, 1:], norms, rtol=1e-12)
    for layer, before, grads in zip(trainer.model().params, start, expected.grads, strict=True):
        np.testing.assert_allclose(layer.W, before.W - 0.05 * grads.W, rtol=1e-12, atol=1e-15)
    whole = loss_and_grads(np, trainer.model().params, Batch(x, y), **options)
    assert record.train_loss == pytest.approx(float(whole.loss), rel=1e-12)


def test_evaluation_and_prediction_drop_nothing(backend):
    data = make_dataset()
    run = fit(BASE.replace(dropout=0.5), data, backend=backend)
    logits, _ = forward(np, run.model.params, data.test.x, ("relu", "relu"))
    np.testing.assert_allclose(run.test.logits, logits, rtol=1e-12, atol=1e-13)
    outputs = run.model.predict_outputs(data.test)
    np.testing.assert_allclose(outputs, softmax(np, logits), rtol=1e-12)


@pytest.mark.parametrize("dropout", [0.5, (0.0, 0.5), (0.2, 0.0)])
def test_a_resumed_run_goes_on_with_the_same_masks(backend, dropout):
    config, data = BASE.replace(dropout=dropout, optimizer="adam"), make_dataset()
    whole = fit(config, data, backend=backend)
    first = Trainer(config, data, backend)
    for record in first.epochs():
        if record.epoch == 2:
            break
    second = Trainer(config, data, backend)
    second.resume(first.checkpoint())
    list(second.epochs())
    np.testing.assert_array_equal(second.history.steps, whole.history.steps)
    for mine, other in zip(second.model().params, whole.model.params, strict=True):
        np.testing.assert_array_equal(mine.W, other.W)


def test_dropout_cannot_change_within_a_run():
    backend, data = load_or_skip("numpy"), make_dataset()
    first = fit(BASE.replace(dropout=0.5), data, backend=backend).trainer
    with pytest.raises(InputError, match="a run with another dropout"):
        Trainer(BASE.replace(dropout=0.2), data, backend).resume(first.checkpoint())


def test_masks_differ_between_steps_and_seeds(monkeypatch):
    """Every step of every seed draws its own: seen by the step as it is written."""
    backend, seen = load_or_skip("array-api-strict"), []

    def noted(*arguments):
        (drawn,) = masks(*arguments)
        seen.append(backend.to_numpy(drawn).tobytes())
        return (drawn,)

    monkeypatch.setattr("xpmlp.training.step.masks", noted)
    configs = BASE.replace(hidden=(9,), dropout=0.5, batch_size=10, seeds=(0, 1)).members()
    for config in configs:
        fit(config, make_dataset(), backend=backend)
    assert len(seen) == len({*seen}) == 2 * 4 * 3


def test_nets_with_other_rates_train_side_by_side(backend):
    rates = [0.0, 0.5, (0.5, 0.1), 0.5]
    configs = [BASE.replace(dropout=p, seed=i) for i, p in enumerate(rates)]
    data = make_dataset()
    for mine, config in zip(fit_many(configs, data, backend=backend), configs, strict=True):
        alone = fit(config, data, backend=backend)
        assert relative_distance(mine.model.params, alone.model.params) < 1e-11


def test_seeds_of_64_bits_and_no_hidden_layer():
    data, train = make_dataset(), partial(fit, backend=load_or_skip("numpy"))
    fit_big = train(BASE.replace(dropout=0.5, seed=2**63 - 1), data)
    assert np.isfinite(fit_big.history.steps).all()
    assert train(BASE.replace(hidden=(), dropout=0.5), data).trainer.objective.dropout == ()


@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        (1.0, r"dropout is \(1.0,\); it must be in \[0, 1\)"),
        ((0.5, -0.1), r"dropout is \(0.5, -0.1\); it must be in \[0, 1\)"),
        (float("nan"), r"dropout can't be \(nan,\)"),
        ("half", "dropout can't be"),
        ((0.5,) * 3, "3 values of dropout for 2 hidden layers; give one for all, or one per layer"),
        ((), "0 values of dropout for 2 hidden layers"),
    ],
)
def test_what_is_refused(dropout, message):
    with pytest.raises(InputError, match=message):
        BASE.replace(dropout=dropout)
