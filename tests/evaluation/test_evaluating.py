"""Evaluations: figures beside scikit-learn's, and other data in the model's scaling and classes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

import xpmlp
from tests.problems import make_dataset, make_regression
from xpmlp.data.dataset import Rows
from xpmlp.errors import InputError
from xpmlp.evaluation.evaluating import evaluate, evaluate_seeds
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config

OPTIONS = {"hidden": (4,), "epochs": 2, "device": "cpu", "batch_size": 8}


@pytest.fixture(scope="module", autouse=True)
def no_folder_of_data():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPMLP_DATA_DIR", raising=False)
        yield


def write_table(path, x, labels, header=""):
    rows = [
        ",".join([*map(repr, map(float, row)), str(y)]) for row, y in zip(x, labels, strict=True)
    ]
    path.write_text("\n".join([header, *rows] if header else rows))
    return path


@pytest.fixture(scope="module")
def iris():
    return fit(Config(**OPTIONS, dataset="iris", scale="standard"))


@pytest.fixture(scope="module")
def raw():
    """Raw features and the names of the classes of iris."""
    from sklearn.datasets import load_iris

    bunch = load_iris()
    return bunch.data, bunch.target_names[bunch.target]


@pytest.fixture(scope="module")
def plane():
    return fit(Config(**OPTIONS, learning_rate=0.01), make_regression())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("part", ["test", "validation", "train"])
def test_own_rows_have_the_figures_of_the_run(part, dtype):
    run = fit(Config(**OPTIONS, dtype=dtype), make_dataset(dtype=dtype))
    report = run.evaluate(part=part)
    live = run.trainer.evaluate(getattr(run.data, part))
    assert (report.loss, report.accuracy) == (live.loss, live.accuracy)
    np.testing.assert_array_equal(report.evaluation.logits, live.logits)
    np.testing.assert_array_equal(report.predicted, run.model.predict(report.source.rows))


def test_classes_as_scikit_learn_counts_them(iris):
    report = evaluate(iris)
    true, predicted = iris.data.test.y, report.predicted
    figures = report.figures()
    assert figures["confusion_matrix"] == metrics.confusion_matrix(true, predicted).tolist()
    assert figures["right"] == int((true == predicted).sum())
    names = iris.data.class_names
    theirs = metrics.classification_report(
        true, predicted, target_names=names, output_dict=True, zero_division=0
    )
    for figure in figures["classes"]:
        their = theirs[figure["name"]]
        assert figure["f1"] == their["f1-score"]
        assert figure["rows"] == their["support"]
    printed = metrics.classification_report(
        true, predicted, target_names=names, digits=4, zero_division=0
    )
    assert printed.rstrip() in report.text()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_confusions_come_by_their_number(iris):
    y = np.array([0, 0, 1, 1, 1, 2])
    data = replace(iris.data, test=Rows(iris.data.test.x[:6], y))
    z = np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 1, 2]]
    report = evaluate(iris)
    report = replace(
        report,
        source=report.source._replace(data=data, rows=data.test),
        evaluation=report.evaluation._replace(logits=z, accuracy=0.5),
    )
    assert [(c.true, c.predicted, c.rows) for c in report.confusions()] == [
        ("versicolor", "virginica", 2),
        ("setosa", "versicolor", 1),
    ]
    assert report.confusions()[0].share == pytest.approx(2 / 3)
    assert "  versicolor → virginica     2 rows, 66.7% of the true class" in report.text()
    assert "accuracy  0.5000, 95 % interval 0.1876 to 0.8124, 3 mistakes" in report.text()


def test_a_perfect_model_has_no_confusions(iris):
    report = evaluate(iris)
    z = np.eye(3)[report.true]
    perfect = replace(report, evaluation=report.evaluation._replace(logits=z, accuracy=1.0))
    assert perfect.confusions() == []
    assert "0 mistakes" in perfect.text()
    assert "confusions" not in perfect.text()
    assert [name for name, _ in perfect.pictures()] == ["confusion-matrix", "calibration"]


def test_values_as_scikit_learn_measures_them(plane):
    report = evaluate(plane)
    true, predicted = plane.data.test.y, plane.model.predict_outputs(plane.data.test)
    assert report.r2 == pytest.approx(metrics.r2_score(true, predicted), rel=1e-12)
    assert report.mean_absolute_error == pytest.approx(
        metrics.mean_absolute_error(true, predicted), rel=1e-12
    )
    figures = report.figures()
    assert figures["root_mean_square_error"] == pytest.approx(
        np.sqrt(metrics.mean_squared_error(true, predicted)), rel=1e-12
    )
    first = figures["largest_errors"][0]
    errors = np.abs(predicted - true)
    at = np.unravel_index(errors.argmax(), errors.shape)
    assert (first["row"], first["output"]) == at
    assert first["error"] == predicted[at] - true[at]
    assert len(figures["largest_errors"]) == 10
    assert [name for name, _ in report.pictures()] == ["predicted-against-true"]
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_constant_values_have_no_r2(plane):
    report = evaluate(plane)
    rows = report.source.rows
    same = replace(rows, y=np.ones_like(rows.y))
    report = replace(report, source=report.source._replace(rows=same))
    assert report.figures()["r2"] is None
    assert "R²        unknown" in report.text()


def test_a_file_is_scaled_as_the_training_rows_were(iris, raw, tmp_path):
    x, names = raw
    chosen = np.flatnonzero(names != "setosa")[::7]
    path = write_table(tmp_path / "new.csv", x[chosen], names[chosen])
    report = iris.evaluate(path)
    assert report.source.part == "all"
    assert report.source.title == f"{path}: {len(chosen)} rows"
    scaling = iris.data.scaling
    expected = ((x[chosen] - scaling.shift) / scaling.width).astype(np.float32)
    np.testing.assert_array_equal(report.source.rows.x, expected)
    assert [report.model.class_names[i] for i in report.true] == names[chosen].tolist()
    np.testing.assert_array_equal(report.predicted, iris.model.predict(x[chosen]))
    assert report.figures()["classes"][0]["rows"] == 0  # no setosa


def test_all_rows_of_a_file_or_a_part_of_them(iris, raw, tmp_path):
    path = write_table(tmp_path / "all.csv", *raw)
    parts = {part: iris.evaluate(path, part=part) for part in ("test", "validation", "train")}
    assert sum(len(report.true) for report in parts.values()) == 150
    assert len(iris.evaluate(path).true) == 150
    again = iris.evaluate("iris", part="test")
    assert again.loss == iris.test.loss


def test_a_model_alone_has_the_same_test_rows(iris):
    assert evaluate(iris.model).loss == pytest.approx(iris.test.loss, rel=1e-6)
    digits = fit(Config(**OPTIONS, dataset="digits"))
    np.testing.assert_array_equal(
        evaluate(digits.model).evaluation.logits, evaluate(digits).evaluation.logits
    )
    with pytest.raises(InputError, match="name it with --dataset"):
        evaluate(replace(iris.model, dataset="somewhere/table.csv"))


def test_whole_numbers_are_values_to_a_model_of_values(tmp_path):
    x = np.random.default_rng(0).standard_normal((30, 3))
    y = make_regression().test.y[:, :1]
    data = make_regression()
    one = {n: replace(getattr(data, n), y=getattr(data, n).y[:, :1]) for n in ("train", "test")}
    validation = replace(data.validation, y=y[: len(data.validation)])
    run = fit(Config(**OPTIONS, learning_rate=0.01), replace(data, **one, validation=validation))
    path = write_table(tmp_path / "counts.csv", x, np.arange(30) % 3 - 1)
    np.testing.assert_array_equal(run.evaluate(path).true[:4, 0], [-1, 0, 1, -1])
    with pytest.raises(
        InputError, match="predicts values, and column 'x4' of .* holds none: a 50%, b 50%"
    ):
        run.evaluate(write_table(tmp_path / "texts.csv", x, ["a", "b"] * 15))


def test_many_whole_numbers_are_classes_to_a_model_of_classes(tmp_path):
    data = make_dataset(rows=600)
    names = tuple(map(str, range(200)))
    rng = np.random.default_rng(0)
    parts = {
        name: replace(getattr(data, name), y=rng.integers(0, 200, 200))
        for name in ("train", "validation", "test")
    }
    run = fit(Config(**OPTIONS), replace(data, class_names=names, **parts))
    labels = rng.permutation(200)[:60]
    path = write_table(tmp_path / "many.csv", rng.standard_normal((60, 4)), labels)
    np.testing.assert_array_equal(run.evaluate(path).true, labels)
    with pytest.raises(InputError, match="has 1 label that the model doesn't know: '3.5'"):
        run.evaluate(write_table(tmp_path / "v.csv", rng.standard_normal((4, 4)), [1, 2, 3.5, 4]))


def test_what_does_not_fit_is_refused(iris, raw, tmp_path):
    x, names = raw
    for path, says in [
        (
            write_table(tmp_path / "a.csv", x[:, :3], names),
            "a.csv has 4 columns, the model takes 4 and 1 more to compare with",
        ),
        (
            write_table(tmp_path / "b.csv", x[::50], ["tulip", "setosa", "rose"]),
            "b.csv has 2 labels that the model doesn't know: 'tulip', 'rose'; its 3 classes are 's",
        ),
        (tmp_path / "none.csv", "none.csv: there is no such file"),
        ("moon", "unknown data set 'moon' .did you mean 'moons'"),
        (x, "a known name or a file to evaluate on, got a ndarray; write it to a file"),
        ("moons", "takes 4 inputs, and the rows of moons have 2"),
    ]:
        with pytest.raises(InputError, match=says):
            iris.evaluate(path)
    with pytest.raises(InputError, match="unknown part 'tests' .did you mean 'test'"):
        iris.evaluate(part="tests")
    table = write_table(tmp_path / "c.csv", x, names)
    with pytest.raises(InputError, match="saved without the numbers of its standard scaling"):
        evaluate(replace(iris.model, scaling=None), table)


def test_columns_in_another_order_are_matched_by_name(iris, raw, tmp_path):
    x, names = raw
    order = [1, 0, 2, 3]
    model = replace(iris.model, feature_names=("a", "b", "c", "d"))
    header = "b,a,c,d,kind"
    path = write_table(tmp_path / "t.csv", x[:, order], names, header)
    report = evaluate(model, path)
    assert "another order and were matched by their names" in report.source.data.note
    same = write_table(tmp_path / "u.csv", x, names, "a,b,c,d,kind")
    np.testing.assert_array_equal(report.outputs, evaluate(model, same).outputs)


def test_rows_that_are_scaled_already_are_remarked_on(tmp_path):
    run = fit(Config(**OPTIONS, dataset="digits"))
    x, y = run.data.test.x.reshape(-1, 8, 8), run.data.test.y
    np.savez(tmp_path / "scaled.npz", x=x / 16, y=y)
    np.savez(tmp_path / "raw.npz", x=np.round(x * 16), y=y)
    assert "scaled already" in run.evaluate(tmp_path / "scaled.npz").source.data.note
    same = run.evaluate(tmp_path / "raw.npz")
    assert same.source.data.note == ""
    assert same.loss == run.test.loss
    assert [name for name, _ in same.pictures()] == [
        "confusion-matrix",
        "calibration",
        "misclassified",
    ]


def test_of_an_archive_in_parts_the_test_rows_are_meant(tmp_path):
    """In the layout of Keras' mnist.npz: trained on, and given to another model."""
    x, y = np.random.default_rng(0).integers(0, 256, (60, 4, 3), np.uint8), np.arange(60) % 3
    parts = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    for name in ("own.npz", "other.npz"):
        np.savez(tmp_path / name, **parts)
    run = fit(Config(**OPTIONS, dataset=str(tmp_path / "own.npz")))
    other = run.evaluate(tmp_path / "other.npz")
    assert other.source.title == f"{tmp_path / 'other.npz'}: 20 test rows"
    assert other.loss == run.test.loss == run.evaluate(tmp_path / "own.npz").loss


def test_values_of_arrays_have_the_loss_of_the_training(tmp_path):
    """In units of their deviation, as they were learnt; the errors in their own."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    parts = {"x_train": x[:40], "y_train": 5e3 * x[:40, :1] + 1e4}
    parts |= {"x_test": x[40:], "y_test": 5e3 * x[40:, :1] + 1e4}
    for name in ("own.npz", "other.npz"):
        np.savez(tmp_path / name, **parts)
    run = fit(Config(**OPTIONS, dataset=str(tmp_path / "own.npz")))
    for part in (None, "test"):
        other = run.evaluate(tmp_path / "other.npz", part=part)
        assert other.loss == run.test.loss < 10
        assert other.root_mean_square_error > 100


def test_a_label_is_read_as_in_training(tmp_path):
    """1,234 is not 1234 where a semicolon separates, nor 1.234 a fraction beside 1,5."""
    for separator, label in ((";", "{},{:03}"), ("\t", "{}.{:03}")):
        rows = [f"{i},5{separator}{label.format(i % 7 + 1, i)}" for i in range(40)]
        path = tmp_path / "rows.csv"
        path.write_text("\n".join([f"a{separator}price", *rows]) + "\n")
        run = fit(Config(**OPTIONS, dataset=str(path)))
        path.rename(tmp_path / "other.csv")
        report = run.evaluate(tmp_path / "other.csv", part="test")
        np.testing.assert_array_equal(report.true, run.data.test.y)
        assert "column 'price': '" in report.source.data.note
        assert "column 'price': '" in run.data.note


def test_a_folder_of_images(tmp_path):
    """Its name may have a dot in it, as that of a file."""
    x, y = np.random.default_rng(0).integers(0, 256, (60, 4, 3), np.uint8), np.arange(60) % 3
    for start, stop, part in ((0, 40, "train"), (40, 60, "t10k")):
        for kind, values in (("images-idx3", x[start:stop]), ("labels-idx1", y[start:stop])):
            sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
            content = bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(content)
    (tmp_path / "copy.of.it").symlink_to(tmp_path, target_is_directory=True)
    run = fit(Config(**OPTIONS, dataset=str(tmp_path)))
    assert run.evaluate(tmp_path / "copy.of.it").loss == run.test.loss


def test_no_rows_of_a_part():
    run = fit(Config(**OPTIONS, dataset="iris", validation=0))
    with pytest.raises(InputError, match="no validation rows; choose --part test or train"):
        run.evaluate(part="validation")


def test_rows_with_weights_have_no_interval():
    data = make_dataset()
    weights = np.linspace(1, 2, len(data.test))
    data = replace(data, test=replace(data.test, weights=weights))
    run = fit(Config(**OPTIONS), data)
    report = run.evaluate()
    assert (report.loss, report.accuracy) == (run.test.loss, run.test.accuracy)
    assert report.interval is None
    assert "interval" not in report.text()


@pytest.mark.parametrize("data", [make_dataset(), make_regression()], ids=["classes", "values"])
def test_seeds(data):
    config = Config(**OPTIONS, seeds=3, learning_rate=0.01)
    runs = fit_many(config.members(), data)
    seeds = evaluate_seeds(runs)
    figures = seeds.figures()
    losses = [run.test.loss for run in runs]
    assert [member["loss"] for member in figures["members"]] == losses
    assert figures["loss"]["mean"] == pytest.approx(np.mean(losses))
    assert figures["loss"]["std"] == pytest.approx(np.std(losses, ddof=1))
    lines = repr(seeds).split("\n\n")[1].splitlines()
    assert lines[-1].startswith("mean ± sd")
    assert [line.split()[0] for line in lines[-4:-1]] == ["0", "1", "2"]
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_a_report_shows_itself(iris):
    assert repr(iris.evaluate()) == iris.evaluate().text()


def test_it_is_public_by_the_run():
    assert hasattr(xpmlp.Run, "evaluate")
    assert hasattr(xpmlp.OpenedRun, "evaluate")
