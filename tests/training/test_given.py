"""`fit` on rows that are handed in, and what it says to a call that is none."""

import re

import numpy as np
import pytest

import xpmlp
from xpmlp import Config, Dataset, InputError, fit, fit_many

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
SMALL = Config(hidden=(3,), epochs=2, validation=9, scale="robust", data_seed=4, dtype="float64")
DATA = Dataset.from_arrays(X, Y)
SELECTION = xpmlp.select_backend("numpy", "cpu")


def test_fit_takes_arrays_by_the_settings_of_its_config():
    data = Dataset.from_arrays(X, Y, validation=9, scale="robust", seed=4, dtype="float64")
    run, twin = fit(SMALL, X, Y), fit(SMALL, data)
    np.testing.assert_array_equal(run.model.params[0].W, twin.model.params[0].W)
    assert (len(run.data.train), len(run.data.validation), len(run.data.test)) == (39, 9, 12)
    (member,) = fit_many([SMALL], X.tolist(), Y.tolist())
    np.testing.assert_array_equal(member.model.params[0].W, run.model.params[0].W)


def test_task_and_loss_decide_what_whole_numbers_are():
    assert fit(SMALL.replace(loss="huber"), X, Y).data.task == "regression"
    assert fit(SMALL.replace(task="regression"), X, Y).data.task == "regression"
    with pytest.raises(InputError, match="can't number a class"):
        fit(SMALL.replace(task="classification"), X, X[:, 0])


def frame():
    return pytest.importorskip("pandas").DataFrame(X)


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (lambda: fit(DATA), "a Config comes first, got Dataset: xpmlp.fit(config, data)"),
        (lambda: fit(X, Y), "a Config comes first, got ndarray: xpmlp.fit(config, x, y)"),
        (lambda: fit(DATA, SMALL), "a Config comes first, got Dataset: xpmlp.fit(config, data)"),
        (lambda: fit(None), "a Config comes first, got NoneType: xpmlp.fit(xpmlp.Config(), …)"),
        (lambda: fit({"epochs": 3}), "xpmlp.Config(**options) makes one of a dict"),
        (lambda: fit("moons"), "xpmlp.Config(dataset=NAME) names a data set"),
        (lambda: fit(SMALL, X), "got ndarray without labels: xpmlp.fit(config, x, y)"),
        (lambda: fit(SMALL, frame()), "xpmlp.load_dataset(data, label=NAME)"),
        (lambda: fit(SMALL, (X, Y)), "got a pair: xpmlp.fit(config, x, y)"),
        (lambda: fit(SMALL, None, Y), "rows come before their labels"),
        (lambda: fit(SMALL, "moons"), "xpmlp.fit(config.replace(dataset='moons'))"),
        (lambda: fit(SMALL, DATA, Y), "a Dataset has its labels: xpmlp.fit(config, data)"),
        (lambda: fit(SMALL, DATA, SELECTION.backend), "xpmlp.fit(config, data, backend=backend)"),
        (lambda: fit(SMALL, SELECTION.backend), "xpmlp.fit(config, backend=backend)"),
        (lambda: fit(SMALL, DATA, backend=SELECTION), "give its .backend"),
        (lambda: fit(SMALL, DATA, backend="numpy"), "fit(config.replace(backend='numpy'), …)"),
        (lambda: fit(SMALL, DATA, backend=3), "must be what xpmlp.select_backend().backend is"),
        (lambda: fit(SMALL, X, Y[:5]), "arrays: x has 60 rows, but y 5 labels"),
        (lambda: fit(SMALL, SMALL), "xpmlp.fit_many([config, …]) trains one net each"),
        (lambda: fit_many(SMALL), "xpmlp.fit_many(config.members())"),
        (lambda: fit_many([]), "takes a list of one config or more, got none"),
        (lambda: fit_many([DATA]), "a Config comes first, got Dataset"),
        (lambda: xpmlp.Trainer(X, DATA, SELECTION.backend), "a Config comes first, got ndarray"),
        (lambda: xpmlp.Trainer(SMALL, DATA, SELECTION), "give its .backend"),
        (lambda: xpmlp.Trainer(SMALL, DATA, "numpy"), "backend is the name 'numpy'"),
        (lambda: xpmlp.range_test(DATA), "a Config comes first, got Dataset"),
        (lambda: fit(SMALL, frame(), "y"), "xpmlp.load_dataset(data, label='y')"),
        (lambda: xpmlp.load_dataset(X), "xpmlp.Dataset.from_arrays(x, y) takes arrays"),
    ],
)
def test_a_wrong_call_is_told_the_right_one(call, right):
    with pytest.raises(InputError, match=re.escape(right)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_finished_run_tells_the_right_calls(tmp_path):
    run = fit(SMALL, X, Y)
    run.model.save(tmp_path / "model.safetensors")
    for call, right in (
        (lambda: run.evaluate(DATA), "run.trainer.evaluate.data.test. other rows"),
        (lambda: run.trainer.evaluate(DATA), "give a part of it, as data.test"),
        (lambda: run.model.predict(DATA), "give one of them, as data.test"),
        (lambda: run.predict(X), "run.model.predict takes arrays"),
        (lambda: run.trainer.resume(run), "got Run: run.trainer.checkpoint.. makes one"),
        (lambda: run.trainer.resume("run"), "xpmlp.Checkpoint.load.path. reads one"),
        (lambda: run.history.metric("Loss"), "unknown metric of the steps 'Loss' .did you mean"),
        (lambda: run.history.metric("train_loss"), "history.epoch_values.'train_loss'"),
        (lambda: run.history.epoch_values("val_loss"), "did you mean 'validation_loss'"),
        (lambda: xpmlp.load(tmp_path / "model.safetensors"), "xpmlp.Model.load"),
    ):
        with pytest.raises(InputError, match=right):
            call()
