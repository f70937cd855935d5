"""Callbacks: when they are called, with what, and that training is none the wiser."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.backends.base import Backend
from xpmlp.errors import InputError
from xpmlp.leaves import leaves
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.callbacks import Callback
from xpmlp.training.config import Config

# 30 training rows: steps of 8, 8, 8 and 6 rows
BASE = Config(
    hidden=(6,), epochs=3, batch_size=8, dtype="float64", learning_rate=0.05, optimizer="sgd"
)


class Told(Callback):
    """Notes what it is told, and answers by a rule."""

    def __init__(self, every=None, answer=lambda what, number: None):
        self.every, self.answer, self.seen = every, answer, []

    def note(self, trainer, what, number=None):
        self.seen.append((trainer.config.seed, what, number))
        return self.answer(what, number)

    def before_training(self, trainer):
        self.note(trainer, "begin")

    def after_steps(self, steps):
        return self.note(steps.trainer, "steps", steps.step)

    def after_epoch(self, trainer, record):
        assert trainer.history.epochs[-1] == record
        return self.note(trainer, "epoch", record.epoch)

    def after_training(self, trainer):
        self.note(trainer, "end")


def of_seed(seed, *calls):
    return [(seed, *(call if isinstance(call, tuple) else (call, None))) for call in calls]


@pytest.fixture
def numpy_backend():
    return load_or_skip("numpy")


@pytest.fixture(params=[True, False], ids=["together", "one by one"])
def manner(request, monkeypatch):
    monkeypatch.setattr(Backend, "prefers_ensembles", lambda *_, shrinking=False: request.param)


def test_when_it_is_called(numpy_backend):
    told = Told(every=5)
    fit(BASE, make_dataset(), backend=numpy_backend, callbacks=told)
    expected = ["begin", ("epoch", 1), ("steps", 5), ("epoch", 2), ("steps", 10), ("epoch", 3)]
    assert told.seen == of_seed(0, *expected, "end")


def test_several_of_them_and_functions_too(numpy_backend):
    calls, one, other = [], Told(every=2), Told(every=3)
    callbacks = [one, lambda trainer, record: calls.append(record.epoch), other]
    fit(BASE.replace(epochs=1), make_dataset(), backend=numpy_backend, callbacks=callbacks)
    assert [number for _, what, number in one.seen if what == "steps"] == [2, 4]
    assert [number for _, what, number in other.seen if what == "steps"] == [3]
    assert calls == [1]


@pytest.mark.parametrize("every", [1, 3, 4, 7])
def test_training_in_pieces_ends_at_the_same_weights(backend, every):
    """On NumPy to the bit; the ragged batch, dropout and the members of an ensemble included."""
    if backend.name == "jax" and every != 3:
        pytest.skip("JAX compiles each length of a piece anew, which takes seconds")
    config = BASE.replace(optimizer="adam", dropout=0.2, learning_rate=0.01, l2=0.01)
    data, configs = make_dataset(), config.replace(seeds=2).members()
    alone = fit(config, data, backend=backend)
    pieces = fit(config, data, backend=backend, callbacks=Told(every))
    several = fit_many(configs, data, backend=backend)
    in_pieces = fit_many(configs, data, backend=backend, callbacks=Told(every))
    for one, other in [(alone, pieces), *zip(several, in_pieces, strict=True)]:
        if backend.name == "numpy":
            assert all(map(np.array_equal, leaves(one.model.params), leaves(other.model.params)))
            np.testing.assert_array_equal(one.history.steps, other.history.steps)
        assert relative_distance(one.model.params, other.model.params) < 1e-12
        np.testing.assert_allclose(one.history.steps, other.history.steps, rtol=1e-11, atol=1e-14)


def test_steps_have_the_figures_and_the_weights_of_their_moment(numpy_backend, manner):
    """Under plain gradient descent a step moves W by its rate times the norm of its gradient."""
    moved, seen = [], {0: [], 1: []}

    class Steps(Callback):
        every = 1

        def before_training(self, trainer):
            seen[trainer.config.seed].append((trainer.model(), None))

        def after_steps(self, steps):
            history, seed = steps.trainer.history, steps.trainer.config.seed
            assert steps.epoch == len(history.epochs) + 1
            assert tuple(steps.metrics) == history.metric_names
            before, now = seen[seed][-1][0], steps.model()
            for i, (a, b) in enumerate(zip(before.params, now.params, strict=True), start=1):
                distance = np.linalg.norm(a.W - b.W)
                moved.append((distance, steps.learning_rate * steps.metrics[f"norm_dW{i}"]))
            seen[seed].append((now, steps))

    configs = BASE.replace(seeds=2).members()
    for run in fit_many(configs, make_dataset(), backend=numpy_backend, callbacks=Steps()):
        kept = seen[run.config.seed][1:]
        assert [steps.step for _, steps in kept] == list(range(1, 13))
        losses = [steps.metrics["loss"] for _, steps in kept]
        np.testing.assert_array_equal(losses, run.history.metric("loss"))
        rates = [steps.learning_rate for _, steps in kept]
        np.testing.assert_array_equal(rates, run.history.learning_rates)
        assert relative_distance(kept[-1][0].params, run.model.params) == 0
    np.testing.assert_allclose(*zip(*moved, strict=True), rtol=1e-10)


def test_the_model_of_a_step_is_its_own(numpy_backend):
    class Spoils(Callback):
        every = 1

        def after_steps(self, steps):
            steps.model().params[0].W[:] = 0

    data = make_dataset()
    spoiled = fit(BASE, data, backend=numpy_backend, callbacks=Spoils())
    assert relative_distance(spoiled.model.params, fit(BASE, data).model.params) < 1e-12


def test_without_steps_an_epoch_is_one_call(numpy_backend, monkeypatch):
    calls, real = [], type(numpy_backend).run_epoch

    def counted(self, step, state, data, plan, hyper):
        calls.append(len(plan.learning_rates))
        return real(self, step, state, data, plan, hyper)

    monkeypatch.setattr(type(numpy_backend), "run_epoch", counted)
    data = make_dataset()
    fit(BASE, data, backend=numpy_backend, callbacks=Told())
    assert calls == [4, 4, 4]
    calls.clear()
    fit(BASE.replace(epochs=2), data, backend=numpy_backend, callbacks=Told(every=3))
    assert calls == [3, 1, 2, 2]
    calls.clear()
    fit(BASE.replace(batch_size=0), data, backend=numpy_backend, callbacks=Told(every=1))
    assert calls == [1, 1, 1]


def test_the_seconds_of_an_epoch_are_those_of_training(numpy_backend, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now.__setitem__(0, now[0] + 1) or now[0])

    class Slow(Callback):
        every = 1

        def after_steps(self, steps):
            now[0] += 1e6

        def after_epoch(self, trainer, record):
            now[0] += 1e6

    run = fit(BASE, make_dataset(), backend=numpy_backend, callbacks=Slow())
    assert max(record.seconds for record in run.history.epochs) < 100


@pytest.mark.parametrize("when", ["steps", "epoch"])
@pytest.mark.parametrize("yes", [True, np.True_])
def test_a_wish_to_stop_is_met_after_the_epoch_in_progress(when, yes, numpy_backend):
    at = {"steps": 5, "epoch": 2}[when]
    told = Told(5, lambda what, number: yes if (what, number) == (when, at) else None)
    run = fit(BASE, make_dataset(), backend=numpy_backend, callbacks=told)
    assert len(run.history.epochs) == 2
    assert not run.interrupted
    assert told.seen[-1] == (0, "end", None)


def test_other_answers_are_no_wish(numpy_backend):
    told = Told(1, lambda what, number: 1)
    assert len(fit(BASE, make_dataset(), callbacks=told).history.epochs) == 3


def test_each_net_of_several_has_its_own_calls_and_end(numpy_backend, manner):
    class StopsOne(Told):
        def after_epoch(self, trainer, record):
            super().after_epoch(trainer, record)
            return trainer.config.seed == 1 and record.epoch == 1

    told = StopsOne(every=4)
    configs = [*BASE.replace(seeds=2).members(), BASE.replace(seed=2, learning_rate=1e300)]
    with pytest.warns(RuntimeWarning, match="1 of 3 nets failed"):
        runs = fit_many(configs, make_dataset(), backend=numpy_backend, callbacks=told)
    assert [len(run.history.epochs) for run in runs] == [3, 1, 0]
    whole = [(what, n) for i in (1, 2, 3) for what, n in (("steps", 4 * i), ("epoch", i))]
    assert [call for call in told.seen if call[0] == 0] == of_seed(0, "begin", *whole, "end")
    assert [call for call in told.seen if call[0] == 1] == of_seed(1, "begin", *whole[:2], "end")
    assert [call for call in told.seen if call[0] == 2] == of_seed(2, "begin", whole[0], "end")


@pytest.mark.parametrize("where", ["begin", "steps", "epoch", "end"])
def test_an_error_goes_up_and_the_others_hear_of_the_end(where, numpy_backend):
    def fail(what, number):
        if what == where and number in (None, 2, 8):
            raise ZeroDivisionError(where)

    first, failing, last = Told(), Told(8, fail), Told()
    with pytest.raises(ZeroDivisionError, match=where) as caught:
        fit(BASE, make_dataset(), backend=numpy_backend, callbacks=[first, failing, last])
    assert first.seen[-1] == (0, "end", None)
    assert (where == "begin") == (not last.seen)
    assert where == "begin" or last.seen[-1] == (0, "end", None)
    done = {"begin": 0, "steps": 1, "epoch": 2, "end": 3}[where]
    assert len(caught.value.run.history.epochs) == done
    assert caught.value.run.test is None
    with pytest.raises(ZeroDivisionError) as caught:
        fit_many([BASE], make_dataset(), backend=numpy_backend, callbacks=Told(8, fail))
    assert [len(run.history.epochs) for run in caught.value.runs] == [done]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Told, "got the class Told"),
        (type("Other", (Callback,), {"on_epoch_end": print})(), "Other would never be called"),
        ([Told(), 3], "functions of a trainer and the record of its epoch; got 3"),
        (Told(0), "Told.every is 0; it must be a number of steps, 1 or more, or None for never"),
        (Told(2.5), "Told.every is 2.5"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(wrong, says):
    with pytest.raises(InputError, match=says):
        fit(BASE, make_dataset(), callbacks=wrong)
    with pytest.raises(InputError, match=says):
        fit_many([BASE], make_dataset(), callbacks=wrong)
