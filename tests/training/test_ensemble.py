"""Ensembles as models: means worked out by hand, files, and what no ensemble has."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.problems import make_dataset
from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError
from xpmlp.nn.losses import LOSSES
from xpmlp.training.ensemble import Ensemble, open_model
from xpmlp.training.initial import starting_params
from xpmlp.training.model import Model
from xpmlp.training.scoring import evaluate_model
from xpmlp.types import Affine

HIDDEN = ((), (4,), (3, 5))


def make_net(hidden, loss, dtype="float64", seed=0):
    """Return a random net of 4 inputs and 3 outputs, its values in units of their own."""
    rng = np.random.default_rng(seed)
    sizes = (4, *hidden, 3)
    params = tuple(
        Affine(rng.standard_normal((d, h)).astype(dtype), rng.standard_normal(h).astype(dtype))
        for d, h in pairwise(sizes)
    )
    classes = ("a", "b", "c") if loss == "softmax_cross_entropy" else ()
    target = Scaling(np.arange(3.0), np.array([1.0, 2.0, 9.0])) if "error" in loss else None
    about = {"class_names": classes, "target": target, "feature_names": tuple("wxyz")}
    return Model(params, ("tanh",) * len(hidden), loss, scaling=SCALING, scale="standard", **about)


SCALING = Scaling(np.linspace(-1.0, 1.0, 4), np.linspace(0.5, 2.0, 4))


def make_ensemble(loss="softmax_cross_entropy", counts=(1, 3, 2), dtype="float64"):
    nets = [make_net(hidden, loss, dtype, seed) for seed, hidden in enumerate(HIDDEN)]
    return Ensemble.of(nets, counts)


ROWS = np.random.default_rng(9).standard_normal((7, 4))


@pytest.mark.parametrize("loss", LOSSES)
def test_it_predicts_the_weighted_mean(loss):
    ensemble = make_ensemble(loss)
    each = np.stack([net.predict_outputs(ROWS) for net in ensemble.nets])
    mean = (1 * each[0] + 3 * each[1] + 2 * each[2]) / 6
    np.testing.assert_allclose(ensemble.predict_outputs(ROWS), mean, rtol=1e-10, atol=1e-12)
    deviation = np.sqrt((1 * (each[0] - mean) ** 2 + 3 * (each[1] - mean) ** 2
                         + 2 * (each[2] - mean) ** 2) / 6)  # fmt: skip
    np.testing.assert_allclose(ensemble.spread(ROWS), deviation, rtol=1e-8, atol=1e-12)


def test_probabilities_that_underflow_keep_their_logarithms():
    nets = []
    for z in ((0.0, -2000.0), (0.0, -1000.0)):
        params = (Affine(np.zeros((1, 2)), np.array(z)),)
        nets.append(Model(params, (), "softmax_cross_entropy", class_names=("a", "b")))
    z = Ensemble.of(nets, (1, 1)).scaled_logits(np.zeros((1, 1)))
    np.testing.assert_allclose(z, [[0.0, -1000.0 - np.log(2)]])


def test_its_evaluation_is_of_the_mean_probability():
    data = make_dataset()
    plain = {"scaling": None, "scale": "none", "feature_names": ()}
    nets = [replace(make_net(hidden, "softmax_cross_entropy"), **plain) for hidden in HIDDEN]
    ensemble = Ensemble.of(nets, (1, 1, 1))
    found = evaluate_model(ensemble, data, data.test)
    p = np.mean([net.outputs_of(net.scaled_logits(data.test.x)) for net in nets], axis=0)
    truth = p[np.arange(len(p)), data.test.y]
    assert found.loss == pytest.approx(-np.log(truth).mean(), rel=1e-10)
    assert found.accuracy == (p.argmax(axis=1) == data.test.y).mean()


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_one_predicts_the_same_bits(tmp_path, loss, dtype):
    ensemble = make_ensemble(loss, dtype=dtype)
    ensemble.save(tmp_path / "model.safetensors")
    for opened in (Ensemble.load(tmp_path / "model.safetensors"),
                   open_model(tmp_path / "model.safetensors")):  # fmt: skip
        assert isinstance(opened, Ensemble)
        assert opened.counts == ensemble.counts
        assert opened.feature_names == ensemble.feature_names
        np.testing.assert_array_equal(opened.predict_outputs(ROWS), ensemble.predict_outputs(ROWS))
    opened.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_model_is_opened_as_a_model(tmp_path):
    make_net((4,), "softmax_cross_entropy").save(tmp_path / "model")
    assert type(open_model(tmp_path / "model")) is Model
    with pytest.raises(InputError, match="holds xpmlp-model-1, not xpmlp-ensemble-1"):
        Ensemble.load(tmp_path / "model")
    make_ensemble().save(tmp_path / "ensemble")
    with pytest.raises(InputError, match="holds xpmlp-ensemble-1"):
        Model.load(tmp_path / "ensemble")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda nets: nets[0].update(count=0), "counts 0 times"),
        (lambda nets: nets.pop(), "nets.2, which is no part"),
        (lambda nets: nets.append(dict(nets[0])), "KeyError: 'nets.3'"),
        (lambda nets: nets[1].update(sizes=[4, 9, 3]), "expected 4 x 9"),
        (lambda nets: nets[1].pop("activations"), "KeyError: 'activations'"),
        (lambda nets: nets.clear(), "nets.0, nets.1, nets.2"),
    ],
)
def test_a_damaged_file_is_refused_in_a_line(tmp_path, change, message):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "model.safetensors"
    make_ensemble().save(path)
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["xpmlp"])
    tensors = load_file(path)
    change(about["nets"])
    save_file(tensors, path, {"xpmlp": json.dumps(about)})
    with pytest.raises(InputError, match=message):
        open_model(path)


def test_what_is_of_one_net_is_refused():
    ensemble = make_ensemble()
    for ask in (ensemble.gradients, ensemble.activations_of):
        with pytest.raises(InputError, match="ask one of its nets"):
            ask(ROWS)


def test_no_training_begins_with_it():
    with pytest.raises(InputError, match="give one of them"):
        starting_params(make_ensemble(), make_ensemble().params, (), make_dataset())


def test_its_text_names_its_nets():
    text = repr(make_ensemble())
    assert text.startswith("ensemble of 3 nets")
    assert "counts 3: 4-4-3, tanh" in text
