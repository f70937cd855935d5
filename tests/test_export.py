"""ONNX files: what they hold, that they answer as the model does, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from xpmlp import __version__
from xpmlp.data.dataset import Scaling
from xpmlp.errors import InputError, RunError
from xpmlp.leaves import map_leaves
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import hidden_activations
from xpmlp.onnx_export import graphs
from xpmlp.onnx_export.checking import check
from xpmlp.onnx_export.exporting import export
from xpmlp.onnx_export.graphs import Form, to_onnx
from xpmlp.onnx_export.nodes import ACTIVATION_NODES, PREDICTIONS
from xpmlp.training.model import Model

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.usefixtures("away_without_gpu")

FEATURES, ROWS = 5, 40
OUTPUTS = {"softmax_cross_entropy": 3, "binary_cross_entropy": 1}
SCALING = Scaling(np.linspace(-3.0, 40.0, FEATURES), np.linspace(0.3, 12.0, FEATURES))
DTYPES = ("float32", "float64")


def make_model(activation="tanh", loss="softmax_cross_entropy", dtype="float32", **more):
    """Return a random net of two hidden layers, with classes where the loss is of classes."""
    hidden = more.pop("hidden", (7, 6))
    sizes = (FEATURES, *hidden, more.pop("outputs", OUTPUTS.get(loss, 2)))
    rng = np.random.default_rng(len(activation) + len(loss))
    params = initialize(np, rng, sizes, init="xavier_normal", bias_std=0.5)
    params = tuple(type(p)(p.W.astype(dtype), p.b.astype(dtype)) for p in params)
    names = tuple(f"class {i}" for i in range(max(2, sizes[-1]))) if loss in OUTPUTS else ()
    about = {"class_names": names, "scaling": SCALING} | more
    about = {"scale": "standard" if about["scaling"] else "none"} | about
    return Model(params, hidden_activations(activation, len(hidden)), loss, **about)


def raw_rows(model, n=ROWS):
    x = np.random.default_rng(1).standard_normal((n, FEATURES))
    scaling = model.scaling or Scaling(np.zeros(FEATURES), np.ones(FEATURES))
    return (x * scaling.width + scaling.shift).astype("float32")


def balanced(model):
    """Return the model with biases that let each of its labels occur."""
    logits = model.logits(raw_rows(model))
    last = model.params[-1]
    last = last._replace(b=last.b - logits.mean(axis=0))
    return replace(model, params=(*model.params[:-1], last))


def answers(content, rows):
    """Return the outputs by name, as a user of onnxruntime gets them."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": rows}), strict=True))


@pytest.fixture
def saved(tmp_path):
    """A model file and its model."""
    model = make_model(class_names=("a", "b", "c"), feature_names=tuple("pqrst"))
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors", model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_net_answers_as_its_model(activation, loss, dtype):
    for scaling in (None, SCALING):
        model = make_model(activation, loss, dtype, scaling=scaling)
        rows = raw_rows(model)
        content = to_onnx(model).SerializeToString()
        assert check(content, model, rows).difference < 1e-5
        found = answers(content, rows)
        expected = model.predict_outputs(rows)
        name = "probabilities" if loss in OUTPUTS else "values"
        assert found[name].dtype == dtype
        eps = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(
            found[name][:, -expected.shape[1] :], expected, rtol=eps, atol=eps
        )
        assert ("label" in found) == bool(model.class_names)
        if model.class_names:
            np.testing.assert_array_equal(found["label"], model.predict(rows))
            np.testing.assert_allclose(found[name].sum(axis=1), 1.0, rtol=eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_right_far_out_too(activation, dtype):
    z = np.array([-1e4, -200.0, -90.0, -20.0, -1.0, -0.0, 0.0, 1.0, 20.0, 90.0, 200.0, 1e4])
    one = (type(make_model().params[0])(np.ones((1, 1), dtype), np.zeros(1, dtype)),) * 2
    model = Model(one, (activation,), "mean_squared_error")
    found = answers(to_onnx(model).SerializeToString(), z[:, None].astype("float32"))
    expected = model.predict_outputs(z[:, None])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found["values"], expected, rtol=4 * eps, atol=1e-6)


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_any_number_of_rows(n):
    model = make_model()
    found = answers(to_onnx(model).SerializeToString(), raw_rows(model, n))
    assert found["probabilities"].shape == (n, 3)
    assert found["label"].shape == (n,)
    assert found["label"].dtype == np.int64


def test_a_net_without_hidden_layers():
    model = make_model(hidden=())
    content = to_onnx(model).SerializeToString()
    assert check(content, model, raw_rows(model)).difference < 1e-6


def test_several_labels_and_one_versus_rest_have_a_probability_each():
    several = make_model(loss="binary_cross_entropy", outputs=4, class_names=())
    rest = make_model(loss="binary_cross_entropy", outputs=4)
    for model, shape in ((several, (ROWS, 4)), (rest, (ROWS,))):
        content = to_onnx(model).SerializeToString()
        rows = raw_rows(model)
        assert check(content, model, rows).difference < 1e-6
        found = answers(content, rows)
        assert list(found) == ["probabilities", "label"]
        assert found["label"].shape == shape
        assert found["probabilities"].shape == (ROWS, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_faint_probabilities_keep_their_digits(dtype):
    model = make_model(loss="binary_cross_entropy", outputs=4, class_names=(), dtype=dtype)
    faint = np.array([-15.0, -20.0, -40.0, -80.0], dtype=dtype)
    last = model.params[-1]
    model = replace(model, params=(*model.params[:-1], last._replace(W=last.W * 0, b=faint)))
    rows = raw_rows(model)
    expected = model.predict_outputs(rows)
    np.testing.assert_allclose(expected[0], np.exp(faint) / (1 + np.exp(faint)), rtol=1e-6)
    found = answers(to_onnx(model).SerializeToString(), rows)["probabilities"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_several_labels_are_1_where_their_logit_is_above_zero():
    model = make_model(loss="binary_cross_entropy", outputs=4, class_names=(), hidden=())
    model = replace(model, scaling=None, scale="none")
    rows = np.vstack([raw_rows(model), np.zeros((1, FEATURES), "float32")])
    model = replace(model, params=(model.params[0]._replace(b=np.zeros(4, "float32")),))
    proto = to_onnx(model)
    found = answers(proto.SerializeToString(), rows)
    assert found["label"].dtype == np.int64
    np.testing.assert_array_equal(found["label"], model.logits(rows) > 0)
    assert found["label"][-1].tolist() == [0, 0, 0, 0]
    assert "label: 1 for each label that the row has, else 0" in proto.doc_string
    next(n for n in proto.graph.node if n.op_type == "Greater").op_type = "Less"
    with pytest.raises(RunError, match="gives other labels than the model"):
        check(proto.SerializeToString(), model, rows)


@pytest.mark.parametrize("loss", OUTPUTS)
def test_label_names_are_the_classes_as_texts(loss):
    names = ("rot", "grün", "hell blau")[: max(2, OUTPUTS[loss])]
    model, form = balanced(make_model(loss=loss, class_names=names)), Form(label_names=True)
    rows = raw_rows(model)
    proto = to_onnx(model, form)
    check(proto.SerializeToString(), model, rows, form)
    expected = [names[i] for i in model.predict(rows)]
    assert set(expected) == set(names)
    assert answers(proto.SerializeToString(), rows)["label"].tolist() == expected
    assert "label: name of the class" in proto.doc_string
    texts = next(tensor for tensor in proto.graph.initializer if tensor.name == "class_names")
    texts.string_data[:] = texts.string_data[::-1]
    with pytest.raises(RunError, match="gives other labels than the model"):
        check(proto.SerializeToString(), model, rows, form)


def test_a_label_keeps_its_axis_until_a_squeeze():
    """OpenCV 4 gives logits for an ArgMax that drops its axis."""
    nodes = to_onnx(make_model()).graph.node[-2:]
    assert [node.op_type for node in nodes] == ["ArgMax", "Squeeze"]
    assert {a.name: a.i for a in nodes[0].attribute} == {"axis": 1, "keepdims": 1}


@pytest.mark.parametrize("input_dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_net_of_float64_computes_in_float32_where_asked(loss, input_dtype):
    model, form = make_model(loss=loss, dtype="float64"), Form(input_dtype, float32=True)
    rows = raw_rows(model)
    content = to_onnx(model, form).SerializeToString()
    assert check(content, model, rows, form).difference < 1e-5
    found = answers(content, rows.astype(input_dtype))
    assert found[next(iter(found))].dtype == np.float32
    tensors = onnx.load_from_string(content).graph.initializer
    of_float64 = {tensor.name for tensor in tensors if tensor.data_type == onnx.TensorProto.DOUBLE}
    assert of_float64 == {"inputs.shift", "inputs.width"}


def test_what_rounding_to_float32_costs_a_net_is_what_is_allowed():
    weights = np.array([[1e8, -1e8, 0.0, 0.0, 0.0]] * 2).T / 3
    model = make_model(loss="mean_squared_error", dtype="float64", scaling=None, hidden=())
    model = replace(model, params=(model.params[0]._replace(W=weights),))
    rows, form = raw_rows(model) * np.float32(1e-3) + 1, Form(float32=True)
    rounded = replace(model, params=map_leaves(np.float32, model.params))
    expected = model.predict_outputs(rows)
    cost = np.abs(rounded.predict_outputs(rows) - expected).max()
    found = check(to_onnx(model, form).SerializeToString(), model, rows, form)
    assert found.allowed == 4 * cost > 1e-5 * np.abs(expected).max()
    assert found.difference <= found.allowed


def test_classes_trained_on_squares_have_values_and_labels():
    model = make_model(loss="mean_squared_error", outputs=3, class_names=tuple("abc"))
    content = to_onnx(model).SerializeToString()
    rows = raw_rows(model)
    check(content, model, rows)
    found = answers(content, rows)
    np.testing.assert_array_equal(found["label"], model.predict(rows))


def test_one_node_for_two_classes_keeps_the_smaller_probability_and_the_rule_of_ties():
    model = make_model(loss="binary_cross_entropy", hidden=(), scaling=None, dtype="float64")
    rows = np.array([[0.0] * FEATURES, [1.0] + [0.0] * 4, [-1.0] + [0.0] * 4], "float32")
    weights = np.array([[40.0], [0], [0], [0], [0]])
    model = replace(model, params=(type(model.params[0])(weights, np.zeros(1)),))
    found = answers(to_onnx(model).SerializeToString(), rows)
    assert found["label"].tolist() == [0, 1, 0]
    tiny = np.exp(-40.0) / (1 + np.exp(-40.0))
    np.testing.assert_allclose(found["probabilities"][1:].diagonal(), tiny, rtol=1e-12)


def test_pixels_are_scaled_without_float64_and_bit_for_bit():
    pixels = Scaling(np.zeros(FEATURES), np.full(FEATURES, 255.0))
    model = make_model(scaling=pixels, scale="unit", hidden=(), loss="mean_squared_error")
    proto = to_onnx(model)
    assert [node.op_type for node in proto.graph.node] == ["Div", "Gemm", "Identity"]
    rows = np.arange(255, dtype="float32").reshape(-1, FEATURES)
    eye = np.eye(FEATURES, dtype="float32")
    model = replace(model, params=(type(model.params[0])(eye, np.zeros(FEATURES, "float32")),))
    found = answers(to_onnx(model).SerializeToString(), rows)
    np.testing.assert_array_equal(found["values"], model.scale_inputs(rows))


@pytest.mark.parametrize("input_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scaling_is_bit_for_bit_that_of_the_model(dtype, input_dtype):
    params = (
        type(make_model().params[0])(np.eye(FEATURES, dtype=dtype), np.zeros(FEATURES, dtype)),
    )
    shifts = (SCALING.shift, np.zeros(FEATURES), np.full(FEATURES, 0.1))
    for shift in shifts:
        for width in (SCALING.width, np.ones(FEATURES), np.full(FEATURES, 0.25)):
            model = Model(params, (), "huber", scaling=Scaling(shift, width))
            rows = raw_rows(model).astype(input_dtype)
            content = to_onnx(model, Form(input_dtype)).SerializeToString()
            np.testing.assert_array_equal(
                answers(content, rows)["values"], model.scale_inputs(rows)
            )


def test_the_file_says_what_it_is(saved, tmp_path):
    model = replace(saved[1], dataset="/home/someone/flowers.csv", image_shape=(1, 5))
    export(model, tmp_path / "net.onnx", raw_rows(model))
    proto = onnx.load(tmp_path / "net.onnx")
    about = {item.key: item.value for item in proto.metadata_props}
    assert json.loads(about["class_names"]) == ["a", "b", "c"]
    assert json.loads(about["feature_names"]) == list("pqrst")
    assert json.loads(about["image_shape"]) == [1, 5]
    assert about["dataset"] == "flowers.csv"
    assert about["xpmlp_version"] == proto.producer_version == __version__
    assert "images of 1x5 raw pixels, each flattened to a row of 5" in proto.doc_string
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 13)]


def test_there_are_nodes_for_all_that_a_net_can_have():
    assert set(ACTIVATION_NODES) == set(ACTIVATIONS)
    assert set(PREDICTIONS) == set(LOSSES)


def test_rounding_is_allowed_as_much_as_the_model_has_itself():
    model = make_model(loss="mean_squared_error", hidden=(), scaling=None)
    big = tuple(type(p)(p.W * np.float32(1e9), p.b) for p in model.params)
    model = replace(model, params=big)
    rows = raw_rows(model)
    found = check(to_onnx(model).SerializeToString(), model, rows)
    assert 1e-5 < found.allowed < 1e6
    assert found.difference <= found.allowed


def test_values_that_overflow_are_infinite_in_both():
    model = make_model(loss="poisson", hidden=(), scaling=None)
    rows = 100 * raw_rows(model)
    found = check(to_onnx(model).SerializeToString(), model, rows)
    assert found.difference <= found.allowed < np.inf
    with np.errstate(over="ignore"):
        assert np.isinf(model.predict_outputs(rows)).any()


def test_features_that_float32_can_not_hold_are_noticed_and_float64_takes_them():
    fine = SCALING._replace(shift=np.full(FEATURES, 1e9))
    model = make_model(scaling=fine)
    rows = np.random.default_rng(0).standard_normal((ROWS, FEATURES)) * fine.width + fine.shift
    content = to_onnx(model).SerializeToString()
    with pytest.raises(
        RunError, match="too fine for float32: choose --input-dtype float64"
    ) as error:
        check(content, model, rows)
    assert "OpenVINO and OpenCV 4 scale in float32 all the same" in str(error.value)
    content = to_onnx(model, Form("float64")).SerializeToString()
    assert check(content, model, rows, Form("float64")).difference < 1e-6


def test_other_weights_or_labels_than_the_models_are_noticed():
    model = make_model()
    first = model.params[0]
    other = replace(model, params=(first._replace(b=first.b + 0.01), *model.params[1:]))
    content = to_onnx(other).SerializeToString()
    with pytest.raises(RunError, match=r"differ from the model's by up to .*so nothing was wri"):
        check(content, model, raw_rows(model))
    proto = to_onnx(model)
    next(n for n in proto.graph.node if n.op_type == "ArgMax").op_type = "ArgMin"
    with pytest.raises(RunError, match="gives other labels than the model"):
        check(proto.SerializeToString(), model, raw_rows(model))


def test_a_graph_that_does_not_run_is_one_line():
    proto = to_onnx(make_model())
    proto.graph.node[0].op_type = "Nonsense"
    with pytest.raises(RunError, match="the ONNX graph does not run") as error:
        check(proto.SerializeToString(), make_model(), raw_rows(make_model()))
    assert len(str(error.value).splitlines()) == 1


def test_what_has_no_nodes_is_refused():
    with pytest.raises(InputError, match="can't be written as ONNX"):
        to_onnx(replace(make_model(), activations=("sine", "tanh")))
    with pytest.raises(InputError, match="unknown input dtype 'int8'"):
        to_onnx(make_model(), Form("int8"))


@pytest.mark.parametrize(
    ("about", "form", "message"),
    [
        ({"dtype": "float32"}, Form(float32=True), "the net computes in float32 already"),
        ({"scaling": None}, Form("float64", float32=True), "the graph scales nothing, so it would"),
        ({"loss": "huber"}, Form(label_names=True), "the net has no classes, and so no names"),
    ],
)
def test_a_form_that_makes_no_sense_for_the_net_is_refused(about, form, message):
    with pytest.raises(InputError, match=message):
        to_onnx(make_model(**{"dtype": "float64"} | about), form)


def test_parameters_that_float32_can_not_hold_are_refused():
    model = make_model(dtype="float64")
    model = replace(model, params=map_leaves(lambda leaf: leaf * 1e40, model.params))
    with pytest.raises(InputError, match="--float32: some parameters are larger than float32 h"):
        to_onnx(model, Form(float32=True))


def test_more_than_a_file_holds_is_refused(monkeypatch):
    monkeypatch.setattr(graphs, "LARGEST_FILE", 100)
    with pytest.raises(InputError, match="parameters are more than the 2 GiB of ONNX files"):
        to_onnx(make_model())
