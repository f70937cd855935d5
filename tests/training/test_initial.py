"""Beginning with the weights of another net, and what is said of it."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError
from xpmlp.nn.initializers import initialize
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer
from xpmlp.types import Affine

CONFIG = Config(hidden=(6, 5), epochs=2, batch_size=8, dtype="float64")


@pytest.fixture(scope="module")
def known():
    return fit(CONFIG, make_dataset(), backend=load_or_skip("numpy"))


def started(initial, config=CONFIG, data=None, backend=None):
    backend = backend or load_or_skip("numpy")
    return Trainer(config, data or make_dataset(), backend, initial=initial)


def same(params, others):
    return [
        np.array_equal(a.W, b.W) and np.array_equal(a.b, b.b)
        for a, b in zip(params, others, strict=True)
    ]


def test_a_run_a_model_its_file_or_folder_or_its_layers(known, tmp_path, backend):
    known.model.save(tmp_path / "model.safetensors")
    pairs = [(layer.W, layer.b) for layer in known.model.params]
    for initial in (known, known.model, tmp_path, str(tmp_path / "model.safetensors"), pairs):
        begun = started(initial, backend=backend).model().params
        assert same(begun, known.model.params) == [True] * 3
    by_config = started(None, CONFIG.replace(initial=str(tmp_path)), backend=backend)
    assert same(by_config.model().params, known.model.params) == [True] * 3


def test_a_fitted_estimator_of_scikit_learn(known):
    data = make_dataset().train
    theirs = MLPClassifier((6, 5), solver="lbfgs", max_iter=500, random_state=0)
    theirs.fit(data.x, data.y)
    run = fit(CONFIG.replace(epochs=1, learning_rate=1e-9), make_dataset(), initial=theirs)
    z = run.model.params
    for layer, W, b in zip(z, theirs.coefs_, theirs.intercepts_, strict=True):
        np.testing.assert_allclose(layer.W, W, atol=1e-7)
        np.testing.assert_allclose(layer.b, b, atol=1e-7)
    with pytest.raises(InputError, match="initial is an estimator that is not fitted"):
        started(MLPClassifier())


@pytest.mark.parametrize(
    ("hidden", "classes", "taken", "said"),
    [
        ((6, 5), 4, 2, r"the first 2 layers have .* it is W \(5, 3\) there and W \(5, 4\) here"),
        ((6, 7), 3, 1, r"the first layer has .* W \(6, 5\), W \(5, 3\) there and W \(6, 7\), W"),
        ((6, 5, 4), 3, 2, r"it is W \(5, 3\) there and W \(5, 4\), W \(4, 3\) here"),
        ((6,), 3, 1, r"it is W \(6, 5\), W \(5, 3\) there and W \(6, 3\) here"),
    ],
    ids=str,
)
def test_of_another_net_the_layers_that_fit_are_taken_and_the_rest_drawn(
    known, hidden, classes, taken, said
):
    config, data = CONFIG.replace(hidden=hidden), make_dataset(classes=classes)
    with pytest.warns(UserWarning, match=said):
        begun = started(known, config, data).model().params
    drawn = started(None, config, data).model().params
    assert same(begun[:taken], known.model.params[:taken]) == [True] * taken
    assert same(begun[taken:], drawn[taken:]) == [True] * (len(drawn) - taken)


def notes(initial, config=CONFIG, data=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started(initial, config, data)
    return [str(warning.message) for warning in caught]


def test_other_activations_scales_and_classes_are_said(known):
    data = make_dataset()
    assert notes(known, data=data) == []
    tanh = CONFIG.replace(activation="tanh")
    assert notes(known, tanh) == [
        "the initial weights were learnt under relu relu, and this net has tanh tanh"
    ]
    named = replace(data, class_names=("x", "y", "z"))
    assert notes(known, data=named) == [
        "the initial weights tell other classes apart than those of blobs: x, y, z begin with the "
        "weights of a, b, c"
    ]
    scaled = replace(known.model, scaling=Scaling(np.zeros(4), np.ones(4)))
    other = replace(data, scaling=Scaling(np.ones(4), np.ones(4)))
    assert notes(scaled, data=other) == [
        "the initial weights were learnt on rows that were scaled with other numbers than those of "
        "blobs"
    ]


@pytest.mark.parametrize(
    ("initial", "said"),
    [
        (initialize(np, np.random.default_rng(0), (4, 5, 3)), "at least the first layer must be"),
        ((Affine(np.ones((1, 4, 6)), np.ones((1, 6))),), r"W \(1, 4, 6\) with b|W \(1, 4, 6\)"),
        ("nowhere", "nowhere"),
        (7, "initial must be a run, a model, .* got int"),
        ((), "initial must be a run"),
        ("abc", "abc"),
        ((Affine(np.full((4, 6), np.nan), np.ones(6)),), "of layer 1 are no finite numbers"),
    ],
)
def test_what_can_not_be_begun_with(initial, said):
    with pytest.raises(InputError, match=said):
        started(initial)


def test_nobody_elses_array_is_trained_on(known, backend):
    """Neither what was handed in nor what was handed out is the memory that is trained."""
    given = [Affine(layer.W.copy(), layer.b.copy()) for layer in known.model.params]
    trainer = started(given, backend=backend)
    for layer in given:
        layer.W[:] = np.nan
    for record in trainer.epochs():
        out = trainer.model()
        out.params[0].W[:] = np.nan
        trainer.checkpoint().state.params[0].b[:] = np.nan
        assert np.isfinite(record.train_loss)
    assert np.isfinite(trainer.model().params[0].W).all()
    assert trainer.model().params[0].W.flags.writeable
