"""ONNX files of models of tables: texts, missing entries, ranks, and values in their own units."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commands import runner
from tests.made_columns import category, date, number, tables, yes_or_no
from tests.thorough import examples
from xpmlp import export as command
from xpmlp.data.dataset import Rows, Scaling
from xpmlp.data.scaling import statistics
from xpmlp.data.tables.notation import MISSING
from xpmlp.data.tables.preparing import feature_names, fit_rules, fit_scaling, matrix
from xpmlp.errors import RunError
from xpmlp.leaves import map_leaves
from xpmlp.nn.initializers import initialize
from xpmlp.onnx_export.checking import check
from xpmlp.onnx_export.graphs import PLAIN, Form, to_onnx
from xpmlp.onnx_export.inputs import feeds
from xpmlp.training.model import Model
from xpmlp.types import Affine

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.usefixtures("away_without_gpu")

DTYPES = ("float32", "float64")
SCALES = ("none", "center", "unit", "standard", "robust", "quantile")
PEOPLE = [
    number("age", 39.5, None, 50.1, 20),
    category("work", "state", None, "private", "private"),
    yes_or_no("member", "yes", "no", None, "yes"),
    date("since", "1970-01-03", "1970-01-02", "1970-01-05", None),
]
NUMBERS = [PEOPLE[0], number("hours", 40, 10, 3, 7), PEOPLE[3]]
run = runner(command.main)


def table_net(columns, scale="standard", dtype="float64", loss="softmax_cross_entropy", rows=None):
    """A random net of two hidden layers on a table, with classes or values in dollars."""
    rules = fit_rules(columns, rows)
    outputs = {"softmax_cross_entropy": 3, "binary_cross_entropy": 1}.get(loss, 2)
    sizes = (len(feature_names(rules)), 7, 6, outputs)
    params = initialize(np, np.random.default_rng(1), sizes, init="xavier_normal", bias_std=0.5)
    scaling = fit_scaling(rules, columns, rows, scale)
    about = {"columns": rules, "scaling": scaling, "scale": scale, "label": ("y",)}
    if loss.endswith("cross_entropy"):
        about["class_names"] = tuple("abc")[: max(2, outputs)]
    elif loss != "poisson":
        about["target"] = Scaling(np.array([2e5, -3.0]), np.array([1e5, 0.25]))
    params = map_leaves(lambda leaf: leaf.astype(dtype), params)
    return Model(params, ("tanh", "relu"), loss, feature_names=feature_names(rules), **about)


def shown(model):
    """The model with the matrix itself as its values, in float64."""
    D = model.sizes[0]
    return replace(
        model,
        params=(Affine(np.eye(D), np.zeros(D)),),
        activations=(),
        loss="mean_squared_error",
        class_names=(),
        target=None,
    )


def answers(content, given):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


def answered(model, rows, form=PLAIN):
    given = feeds(model, rows, form.input_dtype)
    return answers(to_onnx(model, form).SerializeToString(), given)


def other_rows(columns, seed):
    """50 rows that training did not see: numbers between and beyond, unknown texts, missing."""
    rng = np.random.default_rng(seed)
    others = []
    for column in columns:
        known = column.values[~column.missing]
        if column.kind == "category":
            values = rng.integers(-2, len(column.levels), 50).astype(np.int32)
        elif column.kind == "yes/no":
            values = rng.choice([0.0, 1.0, np.nan], 50)
        else:
            low, high = (known.min(), known.max()) if len(known) else (0, 1)
            values = rng.uniform(low - 1, high + 1, 50).round(1)
            values[rng.random(50) < 0.2] = np.nan
        others.append(replace(column, values=values))
    return others


@settings(max_examples=examples(40, few=10), deadline=None)
@given(
    tables(),
    st.sampled_from(SCALES),
    st.sampled_from(DTYPES),
    st.sampled_from(["softmax_cross_entropy", "binary_cross_entropy", "huber", "poisson"]),
    st.integers(0, 99),
)
def test_any_table_is_answered_as_by_its_model(table, scale, dtype, loss, seed):
    columns, n = table
    model = table_net(columns, scale, dtype, loss, np.arange(n))
    form = Form("float64", label_names=bool(model.class_names))
    content = to_onnx(model, form).SerializeToString()
    for rows in (columns, other_rows(columns, seed)):
        check(content, model, rows, form)
        given = Rows(model.prepare(rows), np.zeros(len(rows[0])))
        found, expected = answered(model, rows, form), model.predict_outputs(given)
        outputs = found["probabilities" if model.class_names else "values"]
        eps = 200 * np.finfo(dtype).eps
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            outputs[:, -expected.shape[1] :], expected, rtol=eps, atol=eps * max(1, largest)
        )
        if model.class_names:
            names = [model.class_names[i] for i in model.predict(given)]
            assert found["label"].tolist() == names


@settings(max_examples=examples(40, few=10), deadline=None)
@given(tables(), st.sampled_from(SCALES), st.sampled_from(DTYPES), st.integers(0, 99))
def test_the_matrix_of_any_table_is_that_of_the_model(table, scale, input_dtype, seed):
    columns, n = table
    model = shown(table_net(columns, scale, rows=np.arange(n)))
    for rows in (columns, other_rows(columns, seed)):
        found = answered(model, rows, Form(input_dtype))["values"]
        tolerance = 1e-12 if input_dtype == "float64" else 1e-4
        np.testing.assert_allclose(found, model.prepare(rows), rtol=tolerance, atol=tolerance)


def test_a_table_with_texts_has_an_input_for_each_column():
    proto = to_onnx(table_net(PEOPLE))
    types = {i.name: i.type.tensor_type.elem_type for i in proto.graph.input}
    text, real = onnx.TensorProto.STRING, onnx.TensorProto.FLOAT
    assert types == {"age": real, "work": text, "member": text, "since": real}
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 13), ("ai.onnx.ml", 2)]
    assert (
        "texts, empty where missing, or numbers, NaN where missing, dates as " in proto.doc_string
    )
    about = {item.key: json.loads(item.value) for item in proto.metadata_props[:4]}
    assert [column["name"] for column in about["columns"]] == ["age", "work", "member", "since"]


def test_a_table_of_numbers_is_one_input_with_nan_where_missing():
    model = shown(table_net(NUMBERS, "none"))
    proto = to_onnx(model)
    assert [i.name for i in proto.graph.input] == ["x"]
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 13)]
    assert "x: any number of rows of 3 columns, NaN where missing" in proto.doc_string
    rows = np.array([[1, 2, 3], [np.nan] * 3], "float32")
    found = answers(proto.SerializeToString(), {"x": rows})["values"]
    assert found[0].tolist() == [1, 0, 2, 3, 0]
    np.testing.assert_array_equal(found[1], np.array([39.5, 1, 8.5, 2, 1], "float32"))


def test_all_spellings_of_missing_are_missing_and_other_texts_unknown():
    columns = [category("work", "a", "b", None), yes_or_no("member", "no", "yes", None)]
    model = shown(table_net(columns, "none"))
    content = to_onnx(model).SerializeToString()
    for text in MISSING:
        given = {name: np.array([[text]], dtype=object) for name in ("work", "member")}
        assert answers(content, given)["values"].tolist() == [[0, 0, 1, 0.5, 1]], text
    for text in ("c", "A", "unknown", " a"):
        given = {name: np.array([[text]], dtype=object) for name in ("work", "member")}
        assert answers(content, given)["values"].tolist() == [[0, 0, 0, 0.5, 1]], text


def test_yes_and_no_may_be_written_in_capitals_but_categories_not():
    columns = [category("work", "a", "b"), yes_or_no("member", "no", "yes")]
    content = to_onnx(shown(table_net(columns, "none"))).SerializeToString()
    for yes, no in (("yes", "no"), ("YES", "NO"), ("Yes", "No")):
        given = {
            "work": np.array([["A"], ["a"]], dtype=object),
            "member": np.array([[yes], [no]], dtype=object),
        }
        assert answers(content, given)["values"].tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_spelling_of_missing_that_is_a_level_is_that_level():
    columns = [category("grade", "-", "+", None, "-")]
    found = answered(shown(table_net(columns, "none")), columns)["values"]
    assert found.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_rare_levels_share_a_column():
    names = [f"{i:03}" for i in range(100)]
    columns = [category("code", *names, *names[50:], None)]
    model = shown(table_net(columns, "none"))
    found = answered(model, columns)["values"]
    np.testing.assert_array_equal(found, matrix(model.columns, columns))
    assert found[0].argmax() == 63


def test_inputs_that_are_called_as_an_output_or_a_node_have_names_of_their_own():
    names = ("label", "label_", "probabilities", "layers.0.W", "gemm_12", "chosen_11", "columns")
    columns = [replace(PEOPLE[1], name=name) for name in names] + [PEOPLE[0]]
    model = table_net(columns)
    proto = to_onnx(model)
    inputs = [i.name for i in proto.graph.input]
    assert inputs == ["label_", "label__", "probabilities_", *names[3:], "age"]
    assert check(proto.SerializeToString(), model, columns).difference < 1e-6


@pytest.mark.parametrize("input_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_plain_matrix_is_ranked_too(dtype, input_dtype):
    """With values that come many times, which float32 holds no more exactly than 0.1."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 9, 500) / 10, rng.normal(size=500), np.full(500, 0.1)])
    params = (Affine(np.eye(3, dtype=dtype), np.zeros(3, dtype)),)
    for part in (x, x[:, :2]):
        D = part.shape[1]
        params = (Affine(np.eye(D, dtype=dtype), np.zeros(D, dtype)),)
        scaling = statistics(part, "quantile")
        model = Model(params, (), "huber", scaling=scaling, scale="quantile")
        form = Form(input_dtype)
        content = to_onnx(model, form).SerializeToString()
        assert check(content, model, part, form).difference < 1e-5
        found = answers(content, {"x": part.astype(input_dtype)})["values"]
        np.testing.assert_allclose(found, model.scale_inputs(part), rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber"])
def test_values_are_bit_for_bit_in_their_own_units(loss, dtype):
    model = table_net(PEOPLE, dtype=dtype, loss=loss)
    found = answered(model, PEOPLE, Form("float64"))["values"]
    expected = model.predict_outputs(Rows(model.prepare(PEOPLE), np.zeros(4)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)
    assert found[:, 0].min() > 1e4


def test_other_numbers_for_a_text_are_noticed():
    model = table_net(PEOPLE)
    proto = to_onnx(model)
    codes = next(t for t in proto.graph.initializer if t.name == "columns.work")
    codes.CopyFrom(onnx.numpy_helper.from_array(np.zeros((4, 3)), "columns.work"))
    with pytest.raises(RunError, match="answers differ from the model's by up to"):
        check(proto.SerializeToString(), model, PEOPLE)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("columns", [PEOPLE, NUMBERS])
def test_the_command_tries_a_table_on_random_rows(capsys, tmp_path, columns, scale):
    table_net(columns, scale).save(tmp_path / "model.safetensors")
    options = ["--onnx", "net.onnx", "--rows", "random", "--input-dtype", "float64", "--json"]
    code, out, err = run(capsys, "model.safetensors", *options)
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["rows"] == 1000
    assert len(figures["inputs"]) == (4 if columns is PEOPLE else 1)


def test_any_text_may_be_a_level():
    levels = ("", " ", "grüße, ☃", "a" * 1000, "-", "\n", "'\"")
    columns = [category("odd", *levels, levels=tuple(sorted(levels)))]
    found = answered(shown(table_net(columns, "none")), columns)["values"]
    np.testing.assert_array_equal(found, matrix(fit_rules(columns), columns))
