"""Every kind of export, as the programs that read ONNX files give it."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.test_export import FEATURES, ROWS, balanced, make_model, raw_rows
from tests.test_export import answers as by_onnxruntime
from tests.test_export_tables import PEOPLE, feeds, number, table_net
from xpmlp.data.dataset import Rows, Scaling
from xpmlp.onnx_export.graphs import Form, to_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytestmark = [
    pytest.mark.usefixtures("away_without_gpu"),
    # A reader may fork when it is imported, of which JAX warns where it came before.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]

PIXELS = Scaling(np.zeros(FEATURES), np.full(FEATURES, 255.0))
NETS = {
    "softmax": {},
    "binary": {"loss": "binary_cross_entropy"},
    "one versus rest": {"loss": "binary_cross_entropy", "outputs": 4},
    "several labels": {"loss": "binary_cross_entropy", "outputs": 4, "class_names": ()},
    "one label": {"loss": "binary_cross_entropy", "outputs": 1, "class_names": ()},
    "regression": {"loss": "mean_squared_error"},
    "counts": {"loss": "poisson"},
    "image": {"scaling": PIXELS, "scale": "unit", "image_shape": (1, FEATURES)},
    "unscaled": {"scaling": None, "scale": "none"},
}
FORMS = {  # the dtype of the net, and the form of its graph
    "float32": ("float32", Form()),
    "float32 with names": ("float32", Form(label_names=True)),
    "float32 from float64 features": ("float32", Form("float64")),
    "float64": ("float64", Form()),
    "float64 from float64 features": ("float64", Form("float64")),
    "float64 in float32": ("float64", Form(float32=True)),
    "float64 in float32 with names": ("float64", Form(float32=True, label_names=True)),
}
WITH_NAMES = {form for form in FORMS if form.endswith("names")}
IN_FLOAT64 = {"float64", "float64 from float64 features"}
KINDS = [(net, "float32") for net in NETS]
KINDS += [(net, form) for net in ("softmax", "binary") for form in FORMS if form != "float32"]
KINDS += [
    (net, form)
    for net in ("several labels", "regression")
    for form in FORMS
    if form not in {"float32", *WITH_NAMES}
]


def output_names(content):
    return [output.name for output in onnx.load_from_string(content).graph.output]


def by_onnx_reference(content, rows):
    from onnx.reference import ReferenceEvaluator

    reader = ReferenceEvaluator(onnx.load_from_string(content))
    return dict(zip(reader.output_names, reader.run(None, {"x": rows}), strict=True))


def by_openvino(content, rows):
    import openvino

    core = openvino.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    outputs = core.compile_model(core.read_model(content), "CPU", exact)([rows])
    return {name: outputs[name] for name in output_names(content)}


def by_cv2(content, rows):
    import cv2

    net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    net.setInput(rows, "x")
    names = output_names(content)
    return dict(zip(names, net.forward(names), strict=True))


def by_tract(content, rows):
    import tract

    Path("net.onnx").write_bytes(content)
    reader = tract.onnx().load("net.onnx")
    names = [reader.output_name(i) for i in range(reader.output_count())]
    outputs = reader.into_model().into_runnable().run([rows])
    return dict(zip(names, [output.to_numpy() for output in outputs], strict=True))


def by_onnx2torch(content, rows):
    import onnx2torch
    import torch

    outputs = onnx2torch.convert(onnx.load_from_string(content))(torch.from_numpy(rows))
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    arrays = [output.detach().numpy() for output in outputs]
    return dict(zip(output_names(content), arrays, strict=True))


READERS = {  # by the module that one imports
    "onnxruntime": by_onnxruntime,
    "onnx.reference": by_onnx_reference,
    "openvino": by_openvino,
    "cv2": by_cv2,
    "tract": by_tract,
    "onnx2torch": by_onnx2torch,
}


def not_taken(reader):
    """Return the forms that a reader doesn't take, as the page of exported nets says."""
    if reader == "cv2":
        import cv2

        return WITH_NAMES if cv2.__version__.startswith("4.") else WITH_NAMES | IN_FLOAT64
    return {"tract": WITH_NAMES | IN_FLOAT64, "onnx2torch": WITH_NAMES}.get(reader, set())


@pytest.fixture
def reader(request, monkeypatch):
    """The name of a reader that is installed.

    onnx2torch imports torchvision for two operators that no net has, so it may be missing.
    """
    if find_spec("torchvision") is None:
        operators = ModuleType("torchvision.ops")
        operators.roi_align = None
        monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, "torchvision.ops", operators)
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize(("net", "form"), KINDS)
@pytest.mark.parametrize("reader", READERS, indirect=True)
def test_every_reader_gives_the_nets_own_answers(reader, net, form):
    dtype, chosen = FORMS[form]
    model = balanced(make_model(dtype=dtype, **NETS[net]))
    if form in not_taken(reader):
        pytest.skip(f"{reader} does not take {form}")
    content = to_onnx(model, chosen).SerializeToString()
    rows = raw_rows(model).astype(chosen.input_dtype)
    for n in (1, len(rows)):
        found = READERS[reader](content, rows[:n])
        expected, labels = own_answers(model, rows[:n])
        values = found["values" if labels is None else "probabilities"]
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
        assert ("label" in found) == (labels is not None)
        if labels is None:
            continue
        if chosen.label_names:
            labels = np.array(model.class_names)[labels]
        assert np.reshape(found["label"], labels.shape).tolist() == labels.tolist()


def own_answers(model, rows):
    """Return what the model predicts, and its labels, or None where it has none."""
    outputs = model.predict_outputs(rows)
    if model.loss != "binary_cross_entropy":
        return outputs, model.predict(rows) if model.class_names else None
    if not model.class_names:
        return outputs, (model.logits(rows) > 0).astype(int)
    both = np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
    return both, model.predict(rows)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in WITH_NAMES])
@pytest.mark.parametrize("scale", ["standard", "quantile"])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "huber"])
@pytest.mark.parametrize("reader", READERS, indirect=True)
def test_every_reader_takes_tables_of_numbers(reader, loss, scale, form):
    """With values that come many times, and missing ones in two columns of four."""
    if form in not_taken(reader):
        pytest.skip(f"{reader} does not take {form}")
    rng, (dtype, chosen) = np.random.default_rng(0), FORMS[form]
    columns = [number(f"n{i}", *rng.normal(40, 10, ROWS).round(i)) for i in range(4)]
    for column in columns[:2]:
        column.values[::5] = np.nan
    model = table_net(columns, scale, dtype, loss)
    content = to_onnx(model, chosen).SerializeToString()
    rows, x = feeds(model, columns, chosen.input_dtype)["x"], model.prepare(columns)
    for n in (1, ROWS):
        found = READERS[reader](content, rows[:n])
        given = Rows(x[:n], np.zeros(n))
        expected = model.predict_outputs(given)
        values = found["probabilities" if model.class_names else "values"]
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
        if model.class_names:
            assert np.reshape(found["label"], n).tolist() == model.predict(given).tolist()


def test_onnx_reference_takes_texts():
    from onnx.reference import ReferenceEvaluator

    model = table_net(PEOPLE)
    reader = ReferenceEvaluator(to_onnx(model, Form("float64")))
    (found, label) = reader.run(None, feeds(model, PEOPLE, "float64"))
    rows = Rows(model.prepare(PEOPLE), np.zeros(len(PEOPLE[0])))
    np.testing.assert_allclose(found, model.predict_outputs(rows), rtol=1e-9)
    assert label.tolist() == model.predict(rows).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_the_opset_stays_13(form):
    """onnx2torch 1.5.15 has no Cast from opset 19 on; that it reads 13 is tested above."""
    dtype, chosen = FORMS[form]
    proto = to_onnx(make_model(dtype=dtype), chosen)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 13)]
