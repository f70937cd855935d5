"""Models of tables: columns and own units, saved and opened again beside older files."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import load_file

from tests.made_columns import category, number, tables
from tests.thorough import examples
from xpmlp.data.dataset import Dataset, Rows, Scaling
from xpmlp.data.scaling import statistics
from xpmlp.data.tables.preparing import feature_names, fit_rules, fit_scaling, matrix
from xpmlp.errors import InputError
from xpmlp.evaluation.drawing import outcome_drawings
from xpmlp.evaluation.reports import ValueReport
from xpmlp.evaluation.rows import part_of
from xpmlp.leaves import map_leaves
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.runs.opened import _same_scaling
from xpmlp.training.evaluation import Evaluation
from xpmlp.training.model import Model
from xpmlp.training.predicting import predict_file
from xpmlp.training.tensors import read_tensors, write_tensors

PEOPLE = [
    number("age", 39, None, 50, 20),
    category("work", "state", None, "private", "grüße, ☃"),
]
DOLLARS = Scaling(np.array([200_000.0]), np.array([100_000.0]))


def table_model(columns=PEOPLE, scale="standard", outputs=1, dtype="float64", **more):
    rules = fit_rules(columns)
    sizes = (len(feature_names(rules)), 5, outputs)
    params = initialize(np, np.random.default_rng(0), sizes, init="xavier_normal", bias_std=0.5)
    params = map_leaves(lambda leaf: leaf.astype(dtype), params)
    scaling = fit_scaling(rules, columns, scale=scale)
    about = {"target": DOLLARS, "label": ("price",)} | more
    return Model(
        params,
        ("tanh",),
        "mean_squared_error",
        feature_names=feature_names(rules),
        columns=rules,
        scaling=scaling,
        scale=scale,
        **about,
    )


@pytest.mark.parametrize("scale", ["none", "standard", "robust", "quantile"])
def test_a_model_of_a_table_comes_back(tmp_path, scale):
    model = table_model(scale=scale)
    model.save(tmp_path / "model.safetensors")
    again = Model.load(tmp_path / "model.safetensors")
    for name in ("columns", "label", "feature_names", "scale"):
        assert getattr(again, name) == getattr(model, name)
    assert _same_scaling(again.scaling, model.scaling)
    assert _same_scaling(again.target, model.target)
    np.testing.assert_array_equal(again.prepare(PEOPLE), model.prepare(PEOPLE))
    np.testing.assert_array_equal(
        again.scaled_logits(again.prepare(PEOPLE)), model.scaled_logits(model.prepare(PEOPLE))
    )


@settings(max_examples=examples(50, few=8), deadline=None)
@given(tables())
def test_any_table_is_prepared_as_in_training(tmp_path_factory, table):
    columns, n = table
    model = table_model([replace(c, values=c.values[:n]) for c in columns], dtype="float32")
    expected = matrix(model.columns, columns, scaling=model.scaling, dtype="float32")
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    np.testing.assert_array_equal(Model.load(path).prepare(columns), expected)


def test_values_come_in_their_own_units():
    model = table_model(dtype="float32")
    rows = Rows(model.prepare(PEOPLE), np.zeros((4, 1)))
    logits = model.logits(rows)
    for values in (model.predict_outputs(rows), model.predict(rows), model.outputs_of(logits)):
        np.testing.assert_allclose(values, 200_000 + 100_000 * logits, rtol=1e-6)
        assert values.dtype == np.float32


@pytest.mark.parametrize("loss", LOSSES)
def test_without_a_scaling_of_targets_outputs_are_what_the_loss_makes_of_them(loss):
    model = replace(table_model(target=None), loss=loss)
    logits = model.scaled_logits(model.prepare(PEOPLE))
    np.testing.assert_array_equal(model.outputs_of(logits), LOSSES[loss].predict(np, logits))


def test_pictures_are_in_own_units(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "xpmlp.evaluation.drawing.predicted_against_true", lambda *given: shown.append(given)
    )
    model = table_model()
    x = model.prepare(PEOPLE)
    rows = Rows(x, np.full((4, 1), 3e5))
    for _, draw in outcome_drawings(model, rows, model.logits(rows)):
        draw()
    np.testing.assert_array_equal(shown[0][1], model.predict(rows))


def test_what_an_older_xpmlp_predicts_right_stays_readable_by_it(tmp_path):
    """Format 1 knows no columns, no scaling of targets and no ranks, and refuses format 2."""
    path = tmp_path / "model.safetensors"
    newer = [table_model(), table_model(target=None)]
    newer += [replace(newer[0], columns=()), replace(newer[0], columns=(), target=None)]
    ranks = statistics(np.random.default_rng(0).normal(size=(50, newer[0].sizes[0])), "quantile")
    newer.append(replace(newer[-1], scaling=ranks))
    for model, file_format in zip(newer, "22212", strict=True):
        model.save(path)
        assert read_tensors(path, f"xpmlp-model-{file_format}", lambda _, about: about)
    older = "xpmlp-model-1"
    with pytest.raises(InputError, match="holds xpmlp-model-2, not xpmlp-model-1$"):
        read_tensors(path, older, lambda *parts: parts)


def test_a_model_without_what_is_new_has_the_file_that_it_always_had(tmp_path):
    path = tmp_path / "model.safetensors"
    model = replace(table_model(), columns=(), target=None, label=())
    model.save(path)
    about = read_tensors(path, "xpmlp-model-1", lambda _, about: about)
    assert list(about) == [
        *("format", "sizes", "activations", "loss", "class_names", "feature_names"),
        *("image_shape", "dataset", "scale"),
    ]
    layers = [f"layers.{i}.{leaf}" for i in (0, 1) for leaf in "Wb"]
    assert set(load_file(path)) == {*layers, "inputs.shift", "inputs.width"}
    assert Model.load(path).columns == Model.load(path).label == ()
    assert Model.load(path).target is None


def test_columns_that_do_not_fit_the_net_are_damage(tmp_path):
    path = tmp_path / "model.safetensors"
    table_model().save(path)
    tensors, about = read_tensors(path, "xpmlp-model-2", lambda *parts: parts)
    for columns in (about["columns"][:1], [{"name": "age"}], [about["columns"][0] | {"kind": "a"}]):
        write_tensors(path, tensors, "xpmlp-model-2", about | {"columns": columns})
        with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
            Model.load(path)


def test_a_table_without_a_column_is_refused():
    with pytest.raises(InputError, match="there is no column 'work', which the model takes"):
        table_model().prepare(PEOPLE[:1])


def test_reports_and_predictions_of_files_are_in_own_units(tmp_path):
    model = replace(table_model(), columns=(), scaling=None, scale="none")
    x = np.random.default_rng(0).normal(size=(20, model.sizes[0]))
    values = 200_000 + 100_000 * model.logits(x)
    rows = Rows(x, values + 1000)
    data = Dataset("houses", "regression", rows, rows, rows, ())
    report = ValueReport(model, part_of(data), Evaluation(0.1, None, model.logits(x)))
    np.testing.assert_allclose(report.errors, -1000, rtol=1e-9)
    assert report.mean_absolute_error == pytest.approx(1000)
    np.save(tmp_path / "rows.npy", x)
    (part,) = predict_file(model, tmp_path / "rows.npy")
    np.testing.assert_array_equal(part.outputs, model.predict(x))
