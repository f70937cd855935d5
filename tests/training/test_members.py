"""Nets that train together end where each would end alone."""

import numpy as np
import pytest

from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression, note_steps, relative_distance
from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError, RunError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.setup import make_members
from xpmlp.training.trainer import Trainer

BASE = Config(hidden=(6,), epochs=4, batch_size=8, dtype="float64", learning_rate=0.05)


@pytest.fixture
def numpy_backend():
    return load_or_skip("numpy")


@pytest.fixture(params=["together", "one by one"])
def manner(request, monkeypatch):
    """Both ways to run members, whatever the backend would prefer."""
    together = request.param == "together"
    monkeypatch.setattr(Backend, "prefers_ensembles", lambda self, work, shrinking=False: together)
    return request.param


def assert_same_run(mine, alone):
    assert relative_distance(mine.model.params, alone.model.params) < 1e-11
    np.testing.assert_allclose(mine.history.steps, alone.history.steps, rtol=1e-10, atol=1e-13)
    assert (mine.history.learning_rates == alone.history.learning_rates).all()
    for name in ("train_loss", "validation_loss"):
        ours, theirs = mine.history.epoch_values(name), alone.history.epoch_values(name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)
    for name in ("epoch", "train_accuracy", "validation_accuracy"):
        ours, theirs = mine.history.epoch_values(name), alone.history.epoch_values(name)
        np.testing.assert_array_equal(ours, theirs)
    assert mine.record.epoch == alone.record.epoch
    assert mine.test.accuracy == alone.test.accuracy
    assert mine.test.loss == pytest.approx(alone.test.loss, rel=1e-11)


@pytest.mark.parametrize(
    "options",
    [
        {"l2": 0.01, "clip_norm": 0.5},
        {"hidden": (), "optimizer": "sgd", "lr_schedule": "constant"},
        {"hidden": (7, 5), "optimizer": "adam", "learning_rate": 0.01, "early_stopping": 2},
        {"batch_size": 0, "optimizer": "nesterov", "init_velocity": 0.01, "l1": 0.001},
        {"hidden": (7, 5), "dropout": (0.2, 0.5), "activation": "tanh"},
        {"loss": "binary_cross_entropy", "optimizer": "adamw", "l2": 0.1, "label_smoothing": 0.0},
        {"hidden": (7, 5), "optimizer": "muon", "learning_rate": 0.01, "l2": 0.1},
    ],
    ids=[
        "momentum-l2-clip",
        "depth0-sgd",
        "adam-early",
        "nesterov-warm",
        "dropout",
        "adamw-binary",
        "muon",
    ],
)
def test_each_seed_is_the_run_that_it_would_be_alone(backend, manner, options):
    if backend.name == "jax" and not {"clip_norm", "dropout"} & set(options):
        pytest.skip("JAX compiles each net three times, so two kinds have to do")
    config = BASE.replace(epochs=8, seeds=(0, 3, 7), **options)
    data = make_dataset()
    for mine, own in zip(
        fit_many(config.members(), data, backend=backend), config.members(), strict=True
    ):
        assert mine.trainer.config == own.filled().replace(compile="never")
        assert_same_run(mine, fit(own, data, backend=backend))


def test_members_may_differ_in_every_number_and_in_kind(backend):
    """Rates, penalties, momentum share an ensemble; other nets, batches and lengths do not."""
    base = BASE.replace(l2=0.1)
    configs = [
        base,
        base.replace(learning_rate=0.2, lr_schedule="exponential", seed=4),
        base.replace(l2=0.01, momentum=0.5),
        base.replace(activation="tanh"),
        base.replace(batch_size=11),
        base.replace(epochs=2),
    ]
    data = make_dataset()
    for mine, config in zip(fit_many(configs, data, backend=backend), configs, strict=True):
        assert_same_run(mine, fit(config, data, backend=backend))


def test_regression_has_members_too(backend, manner):
    config, data = BASE.replace(seeds=2, hidden=(5,)), make_regression()
    for mine, own in zip(
        fit_many(config.members(), data, backend=backend), config.members(), strict=True
    ):
        assert mine.test.accuracy is None
        assert (
            relative_distance(mine.model.params, fit(own, data, backend=backend).model.params)
            < 1e-11
        )


@pytest.mark.parametrize(("together", "calls"), [(True, 4), (False, 12)])
def test_an_ensemble_runs_each_epoch_once(numpy_backend, monkeypatch, together, calls):
    seen, run_epoch = [], type(numpy_backend).run_epoch

    def counted(self, step, state, *rest):
        seen.append(state.params[0].W.shape)
        return run_epoch(self, step, state, *rest)

    monkeypatch.setattr(type(numpy_backend), "run_epoch", counted)
    monkeypatch.setattr(Backend, "prefers_ensembles", lambda self, work, shrinking=False: together)
    fit_many(BASE.replace(seeds=3).members(), make_dataset(), backend=numpy_backend)
    assert seen == [(3, 4, 6) if together else (4, 6)] * calls


def test_small_nets_run_together_on_a_cpu_and_large_ones_one_by_one(numpy_backend):
    small = Trainer(BASE, make_dataset(), numpy_backend)
    large = Trainer(BASE.replace(hidden=(2000,)), make_dataset(), numpy_backend)
    assert small.problem.multiplications(8) == 8 * (4 * 6 + 6 * 3)
    assert (small.prefers_company, large.prefers_company) == (True, False)
    numpy_backend.device = "cuda:0"
    assert large.prefers_company


def test_the_state_of_a_member_is_its_own(numpy_backend, manner):
    runs = fit_many(BASE.replace(seeds=2).members(), make_dataset(), backend=numpy_backend)
    one, other = (run.trainer.state.params[0].W for run in runs)
    assert one.flags.c_contiguous
    assert not np.shares_memory(one, other)
    assert one.base is None or one.base.size == one.size


def test_one_that_diverges_leaves_the_others_alone(numpy_backend, manner):
    configs = [BASE, BASE.replace(seed=1, learning_rate=1e300), BASE.replace(seed=2)]
    data = make_dataset()
    members = make_members(configs, data, numpy_backend)
    rounds = list(filter(None, members.epochs()))
    assert [len(records) for records in rounds] == [2] * 4
    assert list(members.failures) == [1]
    told = str(members.failures[1])
    assert "of epoch 1: all gradients were finite until then" in told
    assert "; try a smaller learning_rate than 1e+300" in told
    assert np.isfinite(members.trainers[1].model().params[0].W).all()
    for i in (0, 2):
        alone = fit(configs[i], data, backend=numpy_backend).model
        assert relative_distance(members.trainers[i].model().params, alone.params) < 1e-11
    with pytest.warns(
        RuntimeWarning, match=r"1 of 3 nets failed: runs\[1\] \(seed 1\); .* 1e\+300"
    ):
        runs = fit_many(configs, data, backend=numpy_backend)
    assert [run.failure is None for run in runs] == [True, False, True]
    for run, trainer in zip(runs, members.trainers, strict=True):
        assert relative_distance(run.model.params, trainer.model().params) == 0
        assert len(run.history.epochs) == len(trainer.history.epochs)


def test_where_all_diverge_the_first_is_raised_with_what_there_is(numpy_backend):
    configs = [BASE.replace(seed=seed, learning_rate=1e300) for seed in (4, 5)]
    with pytest.raises(RunError, match="the loss became") as caught:
        fit_many(configs, make_dataset(), backend=numpy_backend)
    assert [run.config.seed for run in caught.value.runs] == [4, 5]
    assert caught.value.runs[0].failure is caught.value


def test_members_that_lag_behind_go_first(numpy_backend):
    """As after an interrupt in the middle of a round: two epochs done, one, none."""
    configs, data = BASE.replace(seeds=3).members(), make_dataset()
    members = make_members(configs, data, numpy_backend)
    for i, trainer in enumerate(members.trainers):
        for _ in zip(range(i), trainer.epochs(), strict=False):
            pass
    done = [len(trainer.history.epochs) for trainer in members.trainers]
    assert done == [0, 1, 2]
    rounds = [[record.epoch for record in records] for records in members.epochs()]
    assert rounds == [[1], [2, 2], [3, 3, 3], [4, 4, 4]]
    for config, trainer in zip(configs, members.trainers, strict=True):
        alone = fit(config, data, backend=numpy_backend).model
        assert relative_distance(trainer.model().params, alone.params) < 1e-11


def test_every_epoch_of_every_net_is_reported(numpy_backend, manner):
    seen = []
    fit_many(
        BASE.replace(seeds=3).members(),
        make_dataset(),
        backend=numpy_backend,
        callbacks=lambda trainer, record: seen.append((trainer.config.seed, record.epoch)),
    )
    assert sorted(seen) == [(seed, epoch) for seed in range(3) for epoch in (1, 2, 3, 4)]


def test_jax_compiles_once_for_all_members(monkeypatch):
    backend, seen = load_or_skip("jax"), note_steps(monkeypatch)
    fit_many(BASE.replace(seeds=5).members(), make_dataset(), backend=backend)
    assert len(seen) == 2  # the scan over full batches, and the ragged tail


def test_members_share_what_is_compiled_and_uploaded(numpy_backend):
    members = make_members(BASE.replace(seeds=4).members(), make_dataset(), numpy_backend)
    assert len({id(trainer.problem) for trainer in members.trainers}) == 1


def test_the_seeds_of_a_config():
    assert BASE.replace(seeds=3).seeds == (0, 1, 2)
    assert [c.seed for c in BASE.replace(seeds=(5, 2)).members()] == [5, 2]
    assert BASE.replace(seed=8).members() == [BASE.replace(seed=8)]
    assert all(config.seeds == () for config in BASE.replace(seeds=3).members())
    for bad, message in (((1, 1), "different from each other"), ((-1,), "0 or more")):
        with pytest.raises(InputError, match=f"seeds .* it must be {message}"):
            BASE.replace(seeds=bad)
    for train in (fit, lambda config, data: fit_many([config], data)):
        with pytest.raises(InputError, match="a config trains one net; for seeds, pass"):
            train(BASE.replace(seeds=2), make_dataset())
    with pytest.raises(InputError, match="seed 5 and seeds"):
        BASE.replace(seed=5, seeds=2)
    assert BASE.replace(seeds=np.int64(3)).seeds == (0, 1, 2)
    assert BASE.replace(hidden=np.int64(3)).hidden == (3,)


def test_early_stopping_takes_members_out_one_by_one(numpy_backend):
    config = BASE.replace(
        hidden=(30,), epochs=60, learning_rate=0.3, lr_schedule="constant", early_stopping=3
    ).replace(seeds=6)
    runs = fit_many(config.members(), make_dataset(features=2, seed=4), backend=numpy_backend)
    lengths = {len(run.history.epochs) for run in runs}
    assert len(lengths) > 1
    for run in runs:
        assert run.record.epoch == int(run.history.epoch_values("validation_loss").argmin()) + 1


def test_an_initial_velocity_moves_weights_without_a_gradient(backend):
    """W - ηv with v = μ·v₀, on weights of zero over rows of zero with even classes."""
    rows = Rows(np.zeros((2, 3)), np.array([0, 1]))
    data = Dataset("still", "classification", rows, Rows(rows.x[:0], rows.y[:0]), rows, ("a", "b"))
    config = BASE.replace(
        hidden=(),
        init="zeros",
        init_velocity=0.5,
        momentum=0.5,
        learning_rate=0.1,
        epochs=1,
        batch_size=0,
        lr_schedule="constant",
    )
    run = fit(config, data, backend=backend)
    np.testing.assert_allclose(run.model.params[0].W, -0.025, rtol=1e-14)
    with pytest.raises(InputError, match="init_velocity goes with momentum or nesterov, not sgd"):
        config.replace(optimizer="sgd")


def test_a_standard_deviation_per_layer(numpy_backend):
    config = BASE.replace(hidden=(400,), init="normal", init_std=(0.1, 3.0))
    hidden, output = Trainer(config, make_dataset(), numpy_backend).state.params
    assert np.std(hidden.W) == pytest.approx(0.1, rel=0.1)
    assert np.std(output.W) == pytest.approx(3.0, rel=0.1)
    with pytest.raises(InputError, match="3 values of init_std for 2 layers"):
        config.replace(init_std=(1.0, 2.0, 3.0))


def test_all_can_be_saved_between_those_that_train_one_by_one(monkeypatch):
    """Ten nets of four seconds an epoch don't wait forty seconds for a checkpoint or for Ctrl-C."""
    monkeypatch.setattr(Backend, "prefers_ensembles", lambda *_, shrinking=False: False)
    configs = BASE.replace(epochs=2, seeds=3).members()
    members = make_members(configs, make_dataset(), load_or_skip("numpy"))
    seen = [
        (len(records), [trainer.place[0] for trainer in members.trainers])
        for records in members.epochs()
    ]
    first = [(0, [1, 0, 0]), (0, [1, 1, 0]), (3, [1, 1, 1])]
    assert seen == [*first, (0, [2, 1, 1]), (0, [2, 2, 1]), (3, [2, 2, 2])]
