"""Whole runs: the right files, valid, without a warning, and without pyplot."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from xpmlp.backends.registry import load
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import DivergenceError
from xpmlp.runs.drawing import (
    pictures,
    seed_pictures,
    write_pictures,
    write_seed_pictures,
)
from xpmlp.runs.fitting import Run, finish, fit
from xpmlp.training.config import Config
from xpmlp.training.trainer import Trainer

CURVES = ["loss-per-step.png", "epochs.png", "gradient-magnitude.png"]
IMAGES = ["first-layer-weights.png", "confusion-matrix.png", "calibration.png"]
SEEDS = [*CURVES, "decision-regions.png"]
PLANE = ["decision-regions.png", "confusion-matrix.png", "calibration.png"]


def part(rows: int, features: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    return Rows((rng.normal(size=(rows, features)) + 2 * y[:, None]).astype(np.float32), y)


def dataset(features: int = 2, train: int = 40, validation: int = 10, test: int = 20) -> Dataset:
    return Dataset(
        "toy",
        "classification",
        part(train, features, 0),
        part(validation, features, 1),
        part(test, features, 2),
        class_names=("a class whose name is so long", "$ another class, $ as long"),
        image_shape=(3, 4) if features == 12 else None,
    )


def values(outputs: int = 1) -> Dataset:
    def some(seed: int) -> Rows:
        x = np.random.default_rng(seed).normal(size=(30, 2)).astype(np.float32)
        return Rows(x, np.repeat(x.sum(axis=1, keepdims=True), outputs, axis=1).astype(float))

    return Dataset("values", "regression", some(0), some(1), some(2), ())


def train(data: Dataset, **options) -> Run:
    options = {"hidden": (4,), "epochs": 2, "batch_size": 10, "dtype": "float32", **options}
    return fit(Config(**options), data, backend=load("numpy", "cpu", "float32"))


def names_written(run: Run, directory) -> list[str]:
    """Write the pictures of a run, check that each is a whole PNG, and return their names."""
    from PIL import Image

    paths = write_pictures(run, directory)
    assert sorted(paths) == sorted(directory.iterdir())
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            image.load()
            assert image.convert("L").getextrema()[0] < 128
            assert max(image.size) < 2500
    return [path.name for path in paths]


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 1},
        {"epochs": 1, "batch_size": 0},  # one step
        {"hidden": (1,)},
        {"hidden": (5, 4, 3)},
        {"loss": "mean_squared_error", "learning_rate": 0.01},
        {"loss": "binary_cross_entropy"},
        {"l2": 0.01, "early_stopping": 1},
        {"init": "zeros"},
        {"epochs": 3000, "batch_size": 0},
    ],
    ids=str,
)
def test_two_features(options, tmp_path):
    plane = PLANE[: -1 if options.get("loss") == "mean_squared_error" else None]  # no probability
    assert names_written(train(dataset(2), **options), tmp_path) == CURVES + plane


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (1,)},
        {"hidden": (70,)},
        {"hidden": ()},
        {"hidden": (), "loss": "binary_cross_entropy"},
        {"init": "zeros", "learning_rate": 1e-9},
    ],
    ids=str,
)
def test_images(options, tmp_path):
    run = train(dataset(12), **options)
    wrong = ["misclassified.png"] if run.test.accuracy < 1 else []
    assert names_written(run, tmp_path) == CURVES + IMAGES + wrong


def test_more_features_have_no_picture_of_their_own(tmp_path):
    assert names_written(train(dataset(5)), tmp_path) == [
        *CURVES,
        "confusion-matrix.png",
        "calibration.png",
    ]


def test_no_validation_and_no_test_rows(tmp_path):
    run = train(dataset(validation=0, test=0))
    assert names_written(run, tmp_path) == [*CURVES, "decision-regions.png"]
    loss, accuracy = dict(pictures(run))["epochs"].axes
    for axes in (loss, accuracy):
        assert [line.get_label() for line in axes.lines] == ["training"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression(outputs, tmp_path):
    run = train(values(outputs))
    assert names_written(run, tmp_path) == [*CURVES, "predicted-against-true.png"]
    drawn = dict(pictures(run))
    (loss,) = drawn["epochs"].axes
    assert loss.get_ylabel() == "loss"
    points = drawn["predicted-against-true"].axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(points[:, 0], run.trainer.data.test.y[:, -1])
    np.testing.assert_allclose(points[:, 1], run.test.logits[:, -1])


def test_counts_are_drawn_with_their_predicted_means():
    data = values()
    parts = ("train", "validation", "test")
    rows = {name: replace(getattr(data, name), y=np.abs(getattr(data, name).y)) for name in parts}
    run = train(replace(data, **rows), loss="poisson", learning_rate=0.01)
    points = dict(pictures(run))["predicted-against-true"].axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(points[:, 0], run.trainer.data.test.y[:, 0])
    np.testing.assert_allclose(points[:, 1], np.exp(run.test.logits[:, 0]))


def test_curves_are_the_history():
    run = train(dataset(), batch_size=0, epochs=6, l2=0.01, hidden=(4, 3))
    drawn = {
        name: {line.get_label(): line.get_ydata() for axes in figure.axes for line in axes.lines}
        for name, figure in pictures(run)
    }
    history = run.history
    for name in ("loss", "penalty"):
        np.testing.assert_array_equal(drawn["loss-per-step"][name], history.metric(name))
    expected = {"‖dW₁‖": "norm_dW1", "‖dW₃‖": "norm_dW3", "‖db₁‖": "norm_db1", "‖db₂‖": "norm_db2"}
    assert len(drawn["gradient-magnitude"]) == 6
    for label, name in expected.items():
        np.testing.assert_array_equal(drawn["gradient-magnitude"][label], history.metric(name))
    loss, accuracy = dict(pictures(run))["epochs"].axes
    for axes, figure in ((loss, "loss"), (accuracy, "accuracy")):
        for line, rows in zip(axes.lines, ("train", "validation"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 7))
            np.testing.assert_array_equal(
                line.get_ydata(), history.epoch_values(f"{rows}_{figure}")
            )


def test_best_epoch_is_marked():
    run = train(dataset(), epochs=30, early_stopping=2, learning_rate=0.5)
    best = int(run.history.epoch_values("validation_loss").argmin()) + 1
    for axes in dict(pictures(run))["epochs"].axes:
        (mark,) = [line for line in axes.lines if line.get_label() == f"best epoch ({best})"]
        assert list(mark.get_xdata()) == [best, best]


def test_misclassified_are_the_surest_mistakes():
    data = dataset(12, test=60)
    run = train(data, hidden=(), epochs=1, learning_rate=0.001)
    p = run.model.predict_outputs(data.test)
    wrong = [i for i in np.argsort(-p.max(axis=1)) if p[i].argmax() != data.test.y[i]][:25]
    assert wrong
    axes = dict(pictures(run))["misclassified"].axes[0]
    assert [text.get_text()[-8:] for text in axes.texts] == [f"(p={p[i].max():.2f})" for i in wrong]
    drawn = np.ma.filled(axes.images[0].get_array(), np.nan)
    first = np.argwhere(np.isfinite(drawn))[0]
    tile = drawn[first[0] : first[0] + 3, first[1] : first[1] + 4]
    np.testing.assert_allclose(tile.ravel(), data.test.x[wrong[0]])


def test_nothing_misclassified_no_picture(tmp_path):
    run = train(dataset(12))
    z = np.where(np.arange(2) == run.trainer.data.test.y[:, None], 5.0, -5.0)
    perfect = replace(run, test=run.test._replace(accuracy=1.0, logits=z))
    assert "misclassified.png" not in names_written(perfect, tmp_path)


@pytest.mark.parametrize("epochs", [0, 1])
def test_interrupted_run(epochs, tmp_path):
    config = Config(hidden=(4,), epochs=50, batch_size=10)
    trainer = Trainer(config, dataset(), load("numpy", "cpu", "float32"))
    for _ in islice(trainer.epochs(), epochs):
        pass
    untrained = ["decision-regions.png"]
    assert names_written(finish(trainer), tmp_path) == (CURVES + PLANE if epochs else untrained)


def test_no_pyplot_and_no_display(tmp_path):
    script = f"""
import sys
import matplotlib
before = matplotlib.rcParams.copy()
from pathlib import Path
from tests.runs.test_drawing import dataset, train, values
from xpmlp.runs.drawing import write_pictures
for data in (dataset(2), dataset(12, test=200), values()):
    write_pictures(train(data), Path({str(tmp_path)!r}))
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams.copy() == before
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_room_is_light():
    script = """
import sys
import xpmlp.runs.drawing
assert not {"matplotlib", "sklearn"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_seeds_together(tmp_path):
    runs = [train(dataset(), seed=seed, batch_size=0, epochs=6) for seed in range(3)]
    paths = write_seed_pictures(runs, tmp_path)
    assert [path.name for path in paths] == SEEDS
    assert sorted(paths) == sorted(tmp_path.iterdir())
    drawn = {
        name: {line.get_label(): line.get_ydata() for axes in figure.axes for line in axes.lines}
        for name, figure in seed_pictures(runs)
    }
    for label, name in (("‖dW₁‖", "norm_dW1"), ("‖db₂‖", "norm_db2")):
        values = [run.history.metric(name) for run in runs]
        np.testing.assert_allclose(
            drawn["gradient-magnitude"][label], np.mean(values, axis=0), rtol=1e-14
        )
    accuracies = [run.history.epoch_values("validation_accuracy") for run in runs]
    np.testing.assert_allclose(
        drawn["epochs"]["validation"], np.mean(accuracies, axis=0), rtol=1e-14
    )
    for name, figure in seed_pictures(runs):
        if name != "decision-regions":
            note = figure.legends[0].get_title().get_text()
            assert re.match("mean( ± standard deviation)? of 3 seeds", note)
            assert all(axes.collections for axes in figure.axes)


def test_nets_of_up_to_six_seeds_are_drawn():
    runs = [train(dataset(), seed=seed, epochs=1) for seed in range(7)]
    figure = dict(seed_pictures(runs))["decision-regions"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"seed {seed}" for seed in range(6)]
    images = [axes.images[0].get_array() for axes in figure.axes]
    assert not np.array_equal(images[0], images[1])


@pytest.mark.parametrize(
    "data", [dataset(5), dataset(12), values()], ids=["features", "images", "regression"]
)
def test_seeds_of_no_plane_have_curves_alone(data, tmp_path):
    paths = write_seed_pictures([train(data, seed=seed) for seed in (0, 1)], tmp_path)
    assert [path.name for path in paths] == CURVES


def test_seeds_that_stopped_at_different_epochs(tmp_path):
    runs = [train(dataset(), epochs=epochs) for epochs in (1, 3, 2)]
    assert [path.name for path in write_seed_pictures(runs, tmp_path)] == SEEDS
    loss = dict(seed_pictures(runs))["epochs"].axes[0]
    drawn = [line for line in loss.lines if line.get_color() == loss.lines[0].get_color()]
    assert [list(line.get_xdata()) for line in drawn] == [[1], [2], [3]]
    assert list(drawn[-1].get_ydata()) == [runs[1].history.epochs[-1].train_loss]


def test_seeds_before_the_first_epoch_has_ended(tmp_path):
    trainer = Trainer(Config(hidden=(4,)), dataset(), load("numpy", "cpu", "float32"))
    unfinished = finish(trainer)
    paths = write_seed_pictures([unfinished, unfinished], tmp_path)
    assert [path.name for path in paths] == ["decision-regions.png"]
    paths = write_seed_pictures([unfinished, train(dataset())], tmp_path)
    assert [path.name for path in paths] == SEEDS


def test_a_first_epoch_that_diverged_has_curves_of_its_steps(tmp_path):
    data = dataset()
    config = Config(hidden=(4,), batch_size=2, optimizer="sgd", lr_schedule="constant")
    trainer = Trainer(config, data, load("numpy", "cpu", "float32"))
    trainer.learning_rate = 1e12
    with pytest.raises(DivergenceError):
        next(trainer.epochs())
    names = names_written(finish(trainer), tmp_path)
    assert names == ["loss-per-step.png", "gradient-magnitude.png", "decision-regions.png"]
