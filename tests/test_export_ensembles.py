"""One ONNX graph of all nets of an ensemble."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.test_ensemble import ROWS, make_ensemble
from xpmlp.errors import RunError
from xpmlp.onnx_export import exporting
from xpmlp.onnx_export.checking import check
from xpmlp.onnx_export.graphs import Form, to_onnx
from xpmlp.onnx_export.nodes import PREDICTIONS
from xpmlp.training.ensemble import Ensemble
from xpmlp.types import Affine

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.usefixtures("away_without_gpu")


def answers(content, x):
    from onnxruntime import InferenceSession

    return InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": x})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", PREDICTIONS)
def test_it_gives_the_mean_of_the_nets(loss, dtype):
    ensemble = make_ensemble(loss, dtype=dtype)
    x = ROWS.astype(np.float32)
    content = to_onnx(ensemble).SerializeToString()
    check(content, ensemble, x)
    outputs = answers(content, x)
    expected = ensemble.predict_outputs(x)
    np.testing.assert_allclose(outputs[0], expected, rtol=2e-5, atol=2e-6)
    if ensemble.class_names:
        np.testing.assert_array_equal(outputs[1], ensemble.predict(x))
    elif loss == "binary_cross_entropy":
        np.testing.assert_array_equal(outputs[1], expected > 0.5)


def test_other_forms():
    ensemble = make_ensemble()
    form = Form("float64", float32=True, label_names=True)
    content = to_onnx(ensemble, form).SerializeToString()
    check(content, ensemble, ROWS, form)
    names = answers(content, ROWS)[1]
    assert names.tolist() == [ensemble.class_names[i] for i in ensemble.predict(ROWS)]


def test_another_mean_is_not_written(tmp_path, monkeypatch):
    ensemble, other = make_ensemble(), make_ensemble(counts=(5, 1, 1))
    monkeypatch.setattr(exporting, "to_onnx", lambda model, form: to_onnx(other, form))
    with pytest.raises(RunError, match="nothing was written"):
        exporting.export(ensemble, tmp_path / "net.onnx", ROWS.astype(np.float32))
    assert not list(tmp_path.iterdir())


def test_two_classes_on_a_single_node_become_two_columns():
    nets = []
    for net in make_ensemble("binary_cross_entropy").nets:
        last = Affine(net.params[-1].W[:, :1], net.params[-1].b[:1])
        nets.append(replace(net, params=(*net.params[:-1], last), class_names=("no", "yes")))
    ensemble = Ensemble.of(nets, (2, 1, 4))
    x = ROWS.astype(np.float32)
    content = to_onnx(ensemble).SerializeToString()
    check(content, ensemble, x)
    p, label = answers(content, x)
    yes = ensemble.predict_outputs(x)
    np.testing.assert_allclose(p, np.hstack([1 - yes, yes]), rtol=1e-6)
    np.testing.assert_array_equal(label, ensemble.predict(x))
