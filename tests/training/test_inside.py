"""What a model shows of its layers, against NumPy by hand and against differences of the loss."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.nn.samples import central_differences, distance
from xpmlp.data.dataset import Dataset, Rows, Scaling
from xpmlp.data.registry import load_dataset
from xpmlp.errors import InputError
from xpmlp.nn.losses import LOSSES
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.model import Model

CONFIG = Config(
    hidden=(5, 4), activation=("tanh", "relu"), epochs=2, dtype="float64", batch_size=16
)


@pytest.fixture(scope="module")
def iris():
    data = load_dataset("iris", scale="standard", dtype="float64")
    return fit(CONFIG, data, backend=load_or_skip("numpy"))


@pytest.fixture(scope="module")
def raw():
    return load_dataset("iris", scale="none", dtype="float64").test


def test_activations_are_those_of_the_forward_pass(iris, raw):
    model = iris.model
    seen = model.activations_of(raw.x)
    assert len(seen) == 3
    x = model.scale_inputs(raw.x)
    for layer, values, function in zip(
        model.params, seen, (np.tanh, lambda z: np.maximum(z, 0.0), None), strict=True
    ):
        np.testing.assert_allclose(values.z, x @ layer.W + layer.b, rtol=1e-12, atol=1e-14)
        if function:
            np.testing.assert_allclose(values.a, function(values.z), rtol=1e-12)
        x = values.a
    np.testing.assert_array_equal(seen[-1].z, model.logits(raw.x))
    np.testing.assert_array_equal(seen[-1].a, model.predict_outputs(raw.x))
    lines = repr(seen).splitlines()
    assert lines[0] == f"activations of {len(raw)} rows"
    assert [line.split()[0] for line in lines[1:]] == ["z1", "a1", "z2", "a2", "z3", "a3"]
    assert "zeros" in lines[4]
    assert "<table>" in seen._repr_html_()


def test_gradients_are_differences_of_the_loss(iris, raw):
    """For every entry, with raw rows and names of classes handed in."""
    from dataclasses import replace

    model = iris.model
    names = np.array(model.class_names)[raw.y]
    found = model.gradients(raw.x, names)
    assert found.loss == pytest.approx(iris.test.loss, rel=1e-12)
    for i, layer in enumerate(model.params):
        for leaf in ("W", "b"):

            def loss_at(array, i=i, leaf=leaf):
                params = list(model.params)
                params[i] = params[i]._replace(**{leaf: array})
                logits = replace(model, params=tuple(params)).logits(raw.x)
                return LOSSES[model.loss].function(np, logits, raw.y)[0]

            numeric = central_differences(loss_at, getattr(layer, leaf))
            assert distance(getattr(found.layers[i], leaf), numeric) < 1e-6
    lines = repr(found).splitlines()
    assert lines[0] == f"gradients of {len(raw)} rows"
    assert [line.split()[0] for line in lines[1:]][:3] == ["loss", "dW1", "db1"]
    assert len(lines) == 8


def test_labels_come_as_names_indices_or_with_their_rows(iris, raw):
    model = iris.model
    by_index = model.gradients(raw.x, raw.y)
    for other in (
        model.gradients(raw.x.tolist(), [model.class_names[i] for i in raw.y]),
        model.gradients(iris.data.test),
        model.gradients(iris.data.test, raw.y),
    ):
        assert other.loss == pytest.approx(by_index.loss, rel=1e-9)
    weighted = Rows(iris.data.test.x, raw.y, np.where(raw.y == 0, 1.0, 1e-12))
    alone = model.gradients(raw.x[raw.y == 0], raw.y[raw.y == 0])
    np.testing.assert_allclose(model.gradients(weighted).layers[0].W, alone.layers[0].W, rtol=1e-6)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        ("names", "the model doesn't know tulip; its classes are setosa, versicolor, virginica"),
        (3, "labels from 3 to 3, but there are 3 classes, numbered from 0"),
        (-1, "labels from -1 to -1"),
        (1.0, "y must be class indices"),
        (None, r"gradients need the targets t of the rows, or xpmlp\.Rows"),
    ],
)
def test_labels_that_are_none_are_refused(iris, raw, t, message):
    given = ["tulip"] * len(raw) if t == "names" else None if t is None else np.full(len(raw), t)
    with pytest.raises(InputError, match=message):
        iris.model.gradients(raw.x, given)
    with pytest.raises(InputError, match=r"x must be \(N, D\)"):
        iris.model.gradients(raw.x, raw.y[:3])


def values_data(target=None):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2))
    rows = Rows(x, (x[:, :1] * 300 + 1000))
    return Dataset("values", "regression", rows, Rows(x[:0], rows.y[:0]), rows, (), target=target)


def test_values_come_in_their_own_units_and_may_be_flat():
    data = values_data(Scaling(np.array([1000.0]), np.array([300.0])))
    run = fit(CONFIG, data, backend=load_or_skip("numpy"))
    found = run.model.gradients(data.test.x, data.test.y[:, 0])
    assert found.loss == pytest.approx(run.test.loss, rel=1e-12)
    assert found.loss < 10
    np.testing.assert_array_equal(run.model.gradients(data.test).layers[0].W, found.layers[0].W)
    assert run.model.activations_of(data.test)[-1].a.mean() > 100
    with pytest.raises(InputError, match="t has 2 columns, and the model 1 output"):
        run.model.gradients(data.test.x, np.ones((40, 2)))


def test_one_node_for_two_classes_and_float32():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    rows, none = Rows(x, y), Rows(x[:0], y[:0])
    data = Dataset("halves", "classification", rows, none, rows, ("left", "right"))
    config = CONFIG.replace(loss="binary_cross_entropy", dtype="float32")
    run = fit(config, data, backend=load_or_skip("numpy", "float32"))
    found = run.model.gradients(x, ["left" if label == 0 else "right" for label in y])
    assert found.loss == pytest.approx(run.test.loss, rel=1e-6)
    assert found.layers[-1].b.shape == (1,)
    assert found.layers[0].W.dtype == np.float32
    assert isinstance(run.model, Model)
