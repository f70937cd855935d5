"""The loop: what it trains on, when it stops, how it goes on, what it refuses."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression, relative_distance
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError, RunError
from xpmlp.nn.initializers import initialize
from xpmlp.runs.fitting import finish, fit
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.trainer import Trainer
from xpmlp.types import Affine

SMALL = Config(hidden=(6,), epochs=4, batch_size=8, dtype="float64", learning_rate=0.05)


@pytest.fixture
def numpy_backend():
    return load_or_skip("numpy")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_loss_alone_is_recorded_and_the_weights_are_the_same(backend, optimizer):
    """Without norms plain SGD's rate may go into the product: the path is the same all the same."""
    config = SMALL.replace(optimizer=optimizer, backend=backend.name)
    full = fit(config, make_dataset(), backend=backend)
    short = fit(config.replace(record="loss"), make_dataset(), backend=backend)
    assert full.history.metric_names[0] == "loss"
    assert len(full.history.metric_names) == 5
    assert short.history.metric_names == ("loss",)
    assert relative_distance(full.model.params, short.model.params) < 1e-12
    np.testing.assert_allclose(short.history.steps, full.history.steps[:, :1], rtol=1e-11)


def test_one_epoch_by_hand(numpy_backend):
    """Softmax regression, two rows of one feature, two steps of one row each, rate 1."""
    rows = Rows(np.array([[1.0], [2.0]]), np.array([0, 1]))
    data = Dataset("hand", "classification", rows, Rows(rows.x[:0], rows.y[:0]), rows, ("a", "b"))
    config = Config(
        hidden=(),
        epochs=1,
        batch_size=1,
        optimizer="sgd",
        learning_rate=1.0,
        lr_schedule="constant",
        dtype="float64",
    )
    start = (Affine(np.zeros((1, 2)), np.zeros(2)),)
    run = fit(
        config, data, backend=numpy_backend, initial=start, order=lambda epoch: np.array([0, 1])
    )
    # row 0: p = (½, ½), dz = (-½, ½): W = (½, -½), b = (½, -½), loss ln 2.
    # row 1: z = (1.5, -1.5), p₀ = σ(3), dz = (σ(3), -σ(3)), loss = 3 + ln(1 + e⁻³).
    s = 1 / (1 + np.exp(-3.0))
    np.testing.assert_allclose(run.model.params[0].W, [[0.5 - 2 * s, -0.5 + 2 * s]], rtol=1e-14)
    np.testing.assert_allclose(run.model.params[0].b, [0.5 - s, -0.5 + s], rtol=1e-14)
    expected = [np.log(2), 3 + np.log1p(np.exp(-3.0))]
    np.testing.assert_allclose(run.history.metric("loss"), expected, rtol=1e-14)
    norms = [np.sqrt(0.5), np.sqrt(2) * 2 * s]
    np.testing.assert_allclose(run.history.metric("norm_dW1"), norms, rtol=1e-14)
    assert run.record.validation_loss is None


def test_every_row_is_seen_once_per_epoch(numpy_backend):
    trainer = Trainer(SMALL, make_dataset(rows=90), numpy_backend)
    plans = []
    for _ in range(3):
        plans.append(trainer.plan())
        next(trainer.epochs())
    for plan in plans:
        assert sorted(plan.order) == list(range(30))
        assert len(plan.learning_rates) == 4
    assert (plans[0].order != plans[1].order).any()


def test_full_batch_takes_all_rows_in_one_step(backend):
    run = fit(SMALL.replace(batch_size=0), make_dataset(), backend=backend)
    assert len(run.history.steps) == SMALL.epochs
    assert run.history.steps[1, 0] == pytest.approx(run.history.epochs[0].train_loss, rel=1e-12)


def test_epoch_losses_are_those_of_all_rows_after_the_epoch(numpy_backend):
    data = make_dataset()
    run = fit(SMALL.replace(l2=0.1), data, backend=numpy_backend)
    for rows, loss, accuracy in (
        (data.train, run.record.train_loss, run.record.train_accuracy),
        (data.validation, run.record.validation_loss, run.record.validation_accuracy),
        (data.test, run.test.loss, run.test.accuracy),
    ):
        p = run.model.predict_outputs(rows)
        assert loss == pytest.approx(-np.log(p[np.arange(len(p)), rows.y]).mean(), rel=1e-12)
        assert accuracy == (run.model.predict(rows) == rows.y).mean()


def test_evaluation_in_parts_is_the_evaluation_at_once(numpy_backend, monkeypatch):
    data = make_dataset()
    whole = Trainer(SMALL, data, numpy_backend).evaluate(data.train)
    monkeypatch.setattr("xpmlp.training.evaluation.EVALUATION_ROWS", 7)
    parts = Trainer(SMALL, data, numpy_backend).evaluate(data.train)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-14)
    assert parts.accuracy == whole.accuracy
    np.testing.assert_allclose(parts.logits, whole.logits, rtol=1e-12)


def test_regression_learns_the_plane(backend):
    run = fit(SMALL.replace(hidden=(), epochs=200), make_regression(), backend=backend)
    assert run.model.loss == "mean_squared_error"
    assert run.test.accuracy is None
    assert run.record.train_accuracy is None
    assert run.test.loss < 1e-3


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_under_every_loss(loss, classes, backend):
    data = make_dataset(rows=180, classes=classes)
    config = SMALL.replace(loss=loss, epochs=30, hidden=(8,), learning_rate=0.01)
    run = fit(config, data, backend=backend)
    outputs = 1 if (loss, classes) == ("binary_cross_entropy", 2) else classes
    assert run.model.sizes[-1] == outputs
    assert run.test.accuracy == (run.model.predict(data.test) == data.test.y).mean()
    assert run.test.accuracy > 0.8


def test_weights_of_a_seed_do_not_depend_on_the_training(numpy_backend):
    data = make_dataset()
    one = Trainer(SMALL, data, numpy_backend).state.params
    other = Trainer(SMALL.replace(batch_size=0, optimizer="adam"), data, numpy_backend).state.params
    assert relative_distance(one, other) == 0


def test_warm_velocities_are_taken(numpy_backend):
    """With zero gradients nothing but the given velocity moves the weights: W - ηv."""
    data = make_dataset(classes=2)
    params = initialize(np, np.random.default_rng(0), (4, 2), init="zeros")
    rows = Rows(np.zeros((2, 4)), np.array([0, 1]))
    still = Dataset("still", "classification", rows, data.validation, rows, ("a", "b"))
    velocity = ((Affine(np.ones((4, 2)), np.ones(2)),),)
    config = SMALL.replace(
        hidden=(), batch_size=0, epochs=1, momentum=0.5, learning_rate=0.1, lr_schedule="constant"
    )
    run = fit(config, still, backend=numpy_backend, initial=params, moments=velocity)
    np.testing.assert_allclose(run.model.params[0].W, -0.05, rtol=1e-14)


def test_early_stopping_counts_from_the_best_epoch():
    stopping, params = EarlyStopping(patience=2), ("weights",)
    stops = []
    for epoch, loss in enumerate([3.0, 2.0, 2.5, 1.0, 1.0, 1.5], start=1):
        stopping = stopping.after(epoch, loss, (*params, epoch))
        stops.append(stopping.should_stop(epoch))
    assert stops == [False, False, False, False, False, True]
    assert (stopping.best_epoch, stopping.best_loss) == (4, 1.0)
    assert stopping.best_params == ("weights", 4)


def test_early_stopping_restores_the_best_weights(backend):
    config = SMALL.replace(
        hidden=(30,), epochs=200, learning_rate=0.3, lr_schedule="constant", early_stopping=5
    )
    data = make_dataset(features=2, seed=4)
    run = fit(config, data, backend=backend)
    losses = run.history.epoch_values("validation_loss")
    best = int(losses.argmin()) + 1
    assert len(losses) < 200
    assert len(losses) == best + 5
    assert run.record.epoch == best
    again = run.trainer.evaluate(data.validation)
    assert again.loss == pytest.approx(losses.min(), rel=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "muon"])
def test_a_resumed_run_is_the_run_that_never_stopped(optimizer, backend, tmp_path):
    config = SMALL.replace(optimizer=optimizer, epochs=6, early_stopping=4, l2=0.01)
    data = make_dataset()
    whole = fit(config, data, backend=backend)

    first = Trainer(config, data, backend)
    for record in first.epochs():
        if record.epoch == 3:
            break
    first.checkpoint().save(tmp_path / "checkpoint.safetensors")
    second = Trainer(config, data, backend)
    second.resume(Checkpoint.load(tmp_path / "checkpoint.safetensors"))
    assert len(list(second.epochs())) == len(whole.history.epochs) - 3

    for mine, theirs in zip(finish(second).model.params, whole.model.params, strict=True):
        np.testing.assert_array_equal(mine.W, theirs.W)
        np.testing.assert_array_equal(mine.b, theirs.b)
    np.testing.assert_array_equal(second.history.steps, whole.history.steps)
    for mine, theirs in zip(second.history.epochs, whole.history.epochs, strict=True):
        assert mine.validation_loss == theirs.validation_loss
    assert second.stopping.best_epoch == whole.trainer.stopping.best_epoch


def test_an_epoch_cut_short_leaves_no_trace(numpy_backend, monkeypatch):
    """Ctrl-C inside an epoch: the checkpoint is that of the epoch before, order included."""
    data, whole = make_dataset(), fit(SMALL, make_dataset(), backend=load_or_skip("numpy"))
    trainer = Trainer(SMALL, data, numpy_backend)
    epochs = trainer.epochs()
    next(epochs)
    with monkeypatch.context() as patch:
        cut = lambda *a: (_ for _ in ()).throw(KeyboardInterrupt)  # noqa: E731
        patch.setattr(trainer.problem.evaluator, "scores", cut)
        with pytest.raises(KeyboardInterrupt):
            next(epochs)
    saved = trainer.checkpoint()
    assert len(saved.epochs) == 1
    again = Trainer(SMALL, data, numpy_backend)
    again.resume(saved)
    for resumed in (again, trainer):
        list(resumed.epochs())
        np.testing.assert_array_equal(resumed.history.steps, whole.history.steps)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_diverging_loss_ends_the_run_and_keeps_the_last_good_weights(numpy_backend):
    config = SMALL.replace(hidden=(), learning_rate=1e200, loss="mean_squared_error", epochs=9)
    trainer = Trainer(config, make_dataset(), numpy_backend)
    with pytest.raises(RunError, match=r"the loss became (nan|inf) at step \d+ of epoch 1"):
        list(trainer.epochs())
    assert np.isfinite(trainer.model().params[0].W).all()
    assert trainer.checkpoint().epochs == []


@pytest.mark.parametrize("validated", [True, False])
def test_the_last_update_may_diverge_too(numpy_backend, validated):
    """One step an epoch: its loss is that before the update, and finite; the next is not."""
    config = SMALL.replace(batch_size=0, learning_rate=1e300, epochs=1, optimizer="sgd")
    data = make_dataset()
    held_out = data.validation if validated else Rows(data.train.x[:0], data.train.y[:0])
    data = Dataset("odd", data.task, data.train, held_out, data.test, data.class_names)
    trainer = Trainer(config, data, numpy_backend)
    with pytest.raises(RunError, match="of epoch 1: .*; try a smaller learning_rate"):
        list(trainer.epochs())
    assert np.isfinite(trainer.model().params[0].W).all()


def test_weights_of_another_shape_are_refused(numpy_backend):
    params = initialize(np, np.random.default_rng(0), (4, 5, 3))
    with pytest.raises(
        InputError, match=r"\(4, 5\), W \(5, 3\) don't fit .*W \(4, 6\), W \(6, 3\)"
    ):
        Trainer(SMALL, make_dataset(), numpy_backend, initial=params)


def test_data_that_cannot_be_trained_on(numpy_backend):
    data = make_dataset()
    none = Rows(data.train.x[:0], data.train.y[:0])
    empty = Dataset("none", "classification", none, none, data.test, data.class_names)
    with pytest.raises(InputError, match="none has no training rows"):
        Trainer(SMALL, empty, numpy_backend)
    for y, message in (
        (data.train.y + 3, "labels from 3 to 5, but there are 3 classes"),
        (data.train.y - 1, "labels from -1 to 1"),
        (data.train.y.astype(float), "y must be class indices"),
        (data.train.y[:-1], r"x has shape \(30, 4\), y \(29,\)"),
    ):
        odd = Dataset("odd", "classification", Rows(data.train.x, y), none, none, ("a", "b", "c"))
        with pytest.raises(InputError, match=message):
            Trainer(SMALL, odd, numpy_backend)
    nan = Rows(np.full_like(data.train.x, np.nan), data.train.y)
    odd = Dataset("odd", "classification", nan, none, none, ("a", "b", "c"))
    with pytest.raises(InputError, match="odd, train rows: x contains NaN or infinity"):
        Trainer(SMALL, odd, numpy_backend)
    unvalidated = Dataset("few", "classification", data.train, none, data.test, data.class_names)
    with pytest.raises(InputError, match="early_stopping needs validation rows"):
        Trainer(SMALL.replace(early_stopping=3), unvalidated, numpy_backend)
    with pytest.raises(
        InputError, match=r"plane has real values as its labels; use .* or poisson$"
    ):
        Trainer(SMALL.replace(loss="softmax_cross_entropy"), make_regression(), numpy_backend)
