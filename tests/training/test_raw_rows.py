"""One rule for rows: a model takes them as the data had them; what takes scaled ones says so."""

import csv
import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import load_or_skip
from xpmlp.data.dataset import Scaling
from xpmlp.data.registry import load_dataset
from xpmlp.data.scaling import statistics
from xpmlp.errors import InputError
from xpmlp.nn.initializers import initialize
from xpmlp.predict import main as predict
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.model import Model
from xpmlp.training.scaled_already import seem_scaled

SCALES = ("unit", "standard", "robust", "quantile", "auto")


@pytest.fixture(scope="module")
def iris():
    config = Config(hidden=(8,), epochs=20, batch_size=16, seed=3)
    data = load_dataset("iris", scale="standard")
    return fit(config, data, backend=load_or_skip("numpy", "float32"))


@pytest.fixture(scope="module")
def raw():
    return load_dataset("iris", scale="none", dtype="float64").test


def test_iris_gets_the_same_classes_from_the_model_the_command_and_the_graph(
    iris, raw, tmp_path, capsys
):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from xpmlp.onnx_export.exporting import export

    classes = iris.model.predict(raw.x)
    assert (classes == raw.y).mean() > 0.85
    assert len(set(classes)) == 3
    iris.model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "rows.npy", raw.x)
    assert (
        predict([str(tmp_path / "model.safetensors"), str(tmp_path / "rows.npy"), "--quiet"]) == 0
    )
    written = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    names = [row["label"] for row in written]
    assert names == [iris.model.class_names[i] for i in classes]
    export(iris.model, tmp_path / "net.onnx", raw.x)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    label = session.run(["label"], {"x": raw.x.astype("float32")})[0]
    np.testing.assert_array_equal(label, classes)


def test_all_forms_of_the_same_rows_are_answered_alike(iris, raw, tmp_path):
    model = iris.model
    expected = model.logits(raw.x)
    np.testing.assert_allclose(model.logits(iris.data.test), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.logits(raw.x.tolist()), expected)
    np.testing.assert_array_equal(model.scaled_logits(model.scale_inputs(raw.x)), expected)
    np.save(tmp_path / "rows.npy", raw.x)
    np.testing.assert_array_equal(model.logits(tmp_path / "rows.npy"), expected)
    np.testing.assert_array_equal(model.predict(raw.x), expected.argmax(axis=1))
    np.testing.assert_array_equal(model.predict_outputs(raw.x), model.outputs_of(expected))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_frame_are_found_by_their_names(iris, raw, library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    names = iris.model.feature_names
    frame = frames.DataFrame(dict(zip(reversed(names), raw.x.T[::-1], strict=True)))
    with pytest.warns(UserWarning, match="another order and were matched by their names"):
        found = iris.model.predict(frame)
    np.testing.assert_array_equal(found, iris.model.predict(raw.x))


def test_rows_of_every_library_are_taken(iris, raw, backend):
    given = backend.asarray(raw.x)
    if getattr(given, "is_cuda", False) or backend.device != "cpu":
        pytest.skip("rows on a GPU are for their own library")
    np.testing.assert_array_equal(iris.model.predict(given), iris.model.predict(raw.x))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([5.1, 3.5, 1.4, 0.2], r"takes x of shape \(N, 4\), got \(4,\); give one row per example"),
        ([["5.1", "3.5", "1.4", "0.2"]], "x must be numbers, got an array of dtype <U3"),
        ([[5.1, 3.5, 1.4, np.nan]], "x contains NaN or infinity"),
        ([[5.1, 3.5], [1.4]], "expected an array that numpy.asarray takes"),
    ],
)
def test_what_are_no_rows_is_refused(iris, rows, message):
    with pytest.raises(InputError, match=message):
        iris.model.predict(rows)


def test_a_model_that_does_not_know_its_scaling_refuses_raw_rows(iris, raw):
    model = replace(iris.model, scaling=None)
    for call in (model.predict, model.logits, model.predict_outputs, model.scale_inputs):
        with pytest.raises(InputError, match="saved without the numbers of its standard scaling"):
            call(raw.x)
    np.testing.assert_array_equal(model.predict(iris.data.test), iris.model.predict(iris.data.test))


# Scaled twice.


def test_scaled_rows_that_are_handed_in_as_raw_are_noticed_at_the_line_that_did(iris):
    for count in (3, 30):
        for call in (iris.model.predict, iris.model.predict_outputs, iris.model.logits):
            with pytest.warns(
                UserWarning, match=r"scaled already.*give data\.test in place of"
            ) as w:
                call(iris.data.test.x[:count])
            assert w[0].filename == __file__


def test_the_command_notes_it_once(iris, tmp_path, capsys):
    iris.model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "rows.npy", iris.data.train.x)
    options = ["--batch-rows", "10", "--out", str(tmp_path / "out.csv"), "--quiet"]
    predict([str(tmp_path / "model.safetensors"), str(tmp_path / "rows.npy"), *options])
    assert capsys.readouterr().err.count("note: the rows look as if they had been scaled") == 1


def made_sets():
    """Return sets of rows whose columns lie far from 0, are rare, or have long tails."""
    rng = np.random.default_rng(0)
    sick = rng.random((500, 6)) < 0.9
    return {
        "far": rng.normal((5.8, 3.0, 100.0), (0.8, 0.4, 15.0), (500, 3)),
        "counts": rng.poisson(0.2, (500, 20)).astype(float),
        "amounts": np.where(sick, 0.0, rng.lognormal(8, 2, (500, 6))),
        "rare": (rng.random((500, 3)) < 0.02).astype(float),
        "long": rng.lognormal(0, 3, (500, 4)),
        "wild": rng.standard_cauchy((500, 4)) + 20,
        "dates": np.stack([rng.integers(1990, 2020, 500), rng.integers(1, 13, 500)], 1) * 1.0,
        "corners": rng.integers(0, 2, (500, 2)).astype(float),
    }


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rows", [1, 2, 3, 10, 100])
def test_rows_like_those_of_the_training_raise_no_alarm(scale, rows):
    for name, x in made_sets().items():
        scaling = statistics(x[:300], scale)
        for piece in np.array_split(x, len(x) // rows):
            assert not seem_scaled(scale, scaling, piece, scaling.apply(piece, "float64")), name


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["far", "dates"])
def test_far_columns_that_were_scaled_twice_are_noticed(scale, name):
    x = made_sets()[name]
    scaling = statistics(x[:300], scale)
    once = scaling.apply(x[300:], "float64")
    for count in (30, 200):
        assert seem_scaled(scale, scaling, once[:count], scaling.apply(once[:count], "float64"))


def test_pixels_below_one_are_noticed_and_dark_images_are_not():
    scaling = Scaling(np.zeros(64), np.full(64, 255.0))
    params = initialize(np, np.random.default_rng(0), (64, 2))
    model = Model(params, (), "softmax_cross_entropy", ("a", "b"), scale="unit", scaling=scaling)
    image = np.random.default_rng(0).integers(0, 256, (1, 64)).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(image)
        model.predict(np.zeros((5, 64), np.uint8))
        model.predict(image // 64)
    with pytest.warns(UserWarning, match="scaled already"):
        model.predict(image / 255)


def test_a_table_of_scaled_numbers_is_noticed(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    rng = np.random.default_rng(0)
    x = rng.normal((170, 70), (8, 9), (90, 2))
    table = np.column_stack([x, x[:, 0] > 170])
    header = "height,weight,tall"
    np.savetxt(tmp_path / "t.csv", table, delimiter=",", header=header, comments="", fmt="%.6g")
    run = fit(Config(dataset=str(tmp_path / "t.csv"), epochs=2, scale="standard"))
    scaled = run.data.train.x[:20].astype(float).tolist()
    lines = ["height,weight", *(",".join(map(json.dumps, row)) for row in scaled)]
    (tmp_path / "scaled.csv").write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="scaled already"):
        run.predict(tmp_path / "scaled.csv")
    raw = [",".join(map(json.dumps, row)) for row in x.tolist()]
    (tmp_path / "raw.csv").write_text("\n".join(["height,weight", *raw]))
    assert len(run.predict(tmp_path / "raw.csv")) == 90
