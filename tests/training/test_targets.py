"""Losses of values: what each fits, which data it goes with, and counts in a table of one's own."""

import json

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from tests.commands import run
from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression
from tests.training.test_multilabel import make_labels
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.training.model import Model
from xpmlp.training.targets import resolve_loss

LINEAR = Config(
    hidden=(),
    epochs=300,
    batch_size=0,
    lr_schedule="constant",
    learning_rate=0.05,
    dtype="float64",
)


def constant_rows(y: list[float]) -> Dataset:
    """Rows without information, so that a linear net can only fit a constant to whole numbers."""
    rows = Rows(np.zeros((len(y), 1)), np.array(y)[:, None])
    return Dataset("constant", "regression", rows, Rows(rows.x[:0], rows.y[:0]), rows, ())


def counts(smallest: int = 0) -> np.ndarray:
    """A table whose last column holds few different counts; the first is the smallest."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((120, 2))
    y = rng.poisson(np.exp(0.5 + 0.6 * x[:, 0]))
    y[0] = smallest
    return np.column_stack([x, y])


@pytest.mark.parametrize(
    ("loss", "optimum"),
    [
        ("mean_squared_error", 4.0),
        ("mean_absolute_error", 1.0),
        ("huber", 1.25),
        ("poisson", 4.0),
    ],
)
def test_the_constant_that_fits_best(backend, loss, optimum):
    """Mean, median, and between them: 0.25 + 0.25 + 1.25 - 0.75 - 1 = 0 for Huber."""
    model = fit(LINEAR.replace(loss=loss), constant_rows([0, 1, 1, 2, 16]), backend=backend).model
    assert model.predict(np.zeros((1, 1))) == pytest.approx(optimum, abs=0.1)


def test_poisson_regression_is_that_of_scikit_learn():
    table = counts()
    x, y = table[:, :2], table[:, 2]
    none = Rows(x[:0], y[:0, None])
    data = Dataset("counts", "regression", Rows(x, y[:, None]), none, Rows(x, y[:, None]), ())
    found = fit(LINEAR.replace(loss="poisson"), data, backend=load_or_skip("numpy"))
    theirs = PoissonRegressor(alpha=0, tol=1e-10).fit(x, y)
    np.testing.assert_allclose(found.model.params[0].W[:, 0], theirs.coef_, rtol=1e-5)
    np.testing.assert_allclose(found.model.predict(x)[:, 0], theirs.predict(x), rtol=1e-5)
    assert found.test.loss == pytest.approx(
        mean_poisson_deviance(y, found.model.predict(x)[:, 0]) / 2, rel=1e-12
    )


@pytest.mark.parametrize("loss", ["mean_absolute_error", "huber"])
def test_losses_of_values_learn_the_plane(loss):
    config = LINEAR.replace(loss=loss, lr_schedule="cosine")
    found = fit(config, make_regression(), backend=load_or_skip("numpy"))
    assert found.test.accuracy is None
    assert found.test.loss < 0.05


@pytest.mark.parametrize("loss", ["mean_absolute_error", "huber"])
def test_classes_are_one_hot_under_losses_of_values(loss):
    config = LINEAR.replace(loss=loss, lr_schedule="cosine")
    found = fit(config, make_dataset(rows=180), backend=load_or_skip("numpy"))
    assert found.model.sizes == (4, 3)
    assert found.test.accuracy > 0.8


def test_auto_is_the_usual_loss():
    data = (make_dataset(), make_labels(), make_regression())
    assert [resolve_loss("auto", of) for of in data] == [
        "softmax_cross_entropy",
        "binary_cross_entropy",
        "mean_squared_error",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make_dataset(), "blobs has one class for each row; use softmax_cross_entropy, "),
        (make_labels(), "halves has several labels for each row; use binary_cross_entropy, "),
    ],
)
def test_counts_are_no_classes(data, words):
    with pytest.raises(InputError, match=f"loss poisson can't be used: {words}"):
        resolve_loss("poisson", data)


def test_counts_are_not_negative():
    with pytest.raises(InputError, match=r"needs labels of 0 or more, .* of constant is -0\.5$"):
        resolve_loss("poisson", constant_rows([1, -0.5, 3]))


def test_a_table_of_few_counts(away_without_gpu, capsys, tmp_path):
    """Read as classes by the losses of classes, and by those of values as values."""
    np.savetxt("counts.csv", counts(), delimiter=",", fmt="%.6g")
    options = ("--dataset", "counts.csv", "--hidden", "4", "--epochs", "2", "--no-plots", "--json")
    code, out, err = run(capsys, *options, "--loss", "poisson", "--out", "one")
    assert code == 0
    assert "table     label 'x3', the last column (regression), from 2 numbers" in err
    assert json.loads(out)["test_accuracy"] is None
    model = Model.load("one/model.safetensors")
    assert (model.loss, model.class_names, model.sizes) == ("poisson", (), (2, 4, 1))
    np.testing.assert_allclose(model.predict([[0, 0]]), np.exp(model.logits([[0, 0]])))
    assert model.target is None
    assert run(capsys, "--resume", "one", "--epochs", "3", "--no-plots")[0] == 0
    _, out, _ = run(capsys, *options, "--loss", "huber")
    assert json.loads(out)["test_accuracy"] is None
    _, out, _ = run(capsys, *options)
    assert json.loads(out)["test_accuracy"] is not None

    np.savetxt("negative.csv", counts(smallest=-2), delimiter=",", fmt="%.6g")
    code, _, err = run(capsys, "--dataset", "negative.csv", "--loss", "poisson")
    assert code == 2
    assert err.endswith("needs labels of 0 or more, and the smallest of negative.csv is -2\n")
    code, _, err = run(capsys, "--dataset", "iris", "--loss", "poisson")
    assert code == 2
    assert "loss poisson can't be used: iris has one class for each row" in err
