"""Whether steps are compiled: decided once, from the work alone, and kept where a run goes on."""

import pickle

import pytest
from threadpoolctl import threadpool_info

from tests.conftest import load_or_skip
from tests.problems import make_dataset, relative_distance
from xpmlp.backends.numpy import native
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.compiler.building import NoCompiler
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.runs.run import Trainer
from xpmlp.training import compiling
from xpmlp.training.compiling import decide
from xpmlp.training.config import Config

BASE = Config(hidden=(5,), batch_size=8, epochs=2, dtype="float64", lr_schedule="constant")
LARGE = (784, 300, 10), 60_000
NONE = "there is no C compiler"


@pytest.fixture
def numpy(tmp_path, monkeypatch):
    """NumPy where there is a compiler, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    backend = load_or_skip("numpy")
    if reason := backend.why_not_compiled():
        pytest.skip(reason)
    return backend


@pytest.fixture
def compiled(numpy, monkeypatch):
    """NumPy, where `auto` finds that any work pays, on three threads."""
    monkeypatch.setattr(compiling, "LEAST_WORK", 0)
    monkeypatch.setattr(compiling, "usual_threads", lambda: 3)
    return numpy


def lack_a_compiler(monkeypatch):
    monkeypatch.setattr(NumpyBackend, "why_not_compiled", lambda backend: NONE)


def test_auto_goes_by_the_work_of_an_epoch_alone(numpy, monkeypatch):
    for epochs in (1, 100):
        config = Config(epochs=epochs)
        large, small = (decide(config, numpy, *case) for case in (LARGE, ((4, 3), 100)))
        assert large.compilation
        assert "an epoch has 3,600 multiplications" in small.reason
        assert (small.compilation, small.missing) == (None, "")
    assert decide(Config(), numpy, (4, 3), 100, members=28_000).compilation
    lack_a_compiler(monkeypatch)
    assert decide(Config(), numpy, *LARGE)[:3] == (None, "auto", NONE)
    assert decide(Config(), numpy, *LARGE).missing == NONE
    assert decide(Config(), numpy, (4, 3), 100).missing == ""
    assert decide(Config(compile="never"), numpy, *LARGE).missing == ""
    with pytest.raises(InputError, match=f"compile is always, but {NONE}; choose --compile auto"):
        decide(Config(compile="always"), numpy, (4, 3), 100)


def test_other_libraries_have_their_own_ways():
    backend, name = load_or_skip("array-api-strict"), "array-api-strict"
    assert decide(Config(), backend, *LARGE).missing == ""
    for wish in ({"compile": "always"}, {"threads": 2}):
        with pytest.raises(InputError, match=f"numpy on a CPU, and backend is {name}; choose"):
            fit(BASE.replace(**wish), make_dataset(), backend=backend)
    assert fit(BASE, make_dataset(), backend=backend).config.compile == "never"


def test_what_was_decided_stands_in_config_checkpoint_and_texts(compiled):
    run = fit(BASE, make_dataset(), backend=compiled)
    config = run.config
    assert (config.compile, config.threads, config.tiles) == ("always", 3, 3)
    assert run.trainer.checkpoint().config == config
    assert "float64, compiled for the processor, " in repr(run.trainer)
    assert run.trainer.problem.how == run.trainer.problem.decision.how
    never = fit(BASE.replace(compile="never"), make_dataset(), backend=compiled)
    assert never.config == BASE.filled().replace(compile="never")
    assert relative_distance(run.model.params, never.model.params) < 1e-12


def test_a_run_goes_on_as_it_began_whoever_would_decide_otherwise(compiled, monkeypatch):
    data = make_dataset()
    whole = fit(BASE.replace(epochs=4), data, backend=compiled)
    saved = fit(BASE, data, backend=compiled).trainer.checkpoint()
    monkeypatch.setattr(compiling, "usual_threads", lambda: 1)
    monkeypatch.setattr(compiling, "usable_processors", lambda: 1)
    for wish in ({}, {"compile": "always"}, {"threads": 2}):
        trainer = Trainer(BASE.replace(epochs=4, **wish), data, compiled)
        trainer.resume(saved)
        assert trainer.config.tiles == 3
        list(trainer.epochs())
        assert relative_distance(trainer.params, whole.model.params) == 0.0
    monkeypatch.setattr(compiling, "LEAST_WORK", 10**12)
    trainer = Trainer(BASE.replace(epochs=4), data, compiled)
    trainer.resume(saved)
    assert trainer.config.compile == "always"


def test_without_a_compiler_a_compiled_run_goes_on_where_that_is_said(compiled, monkeypatch):
    data = make_dataset()
    run = fit(BASE, data, backend=compiled)
    saved, pickled = run.trainer.checkpoint(), pickle.dumps(run.trainer)
    assert pickle.loads(pickled).config == run.config
    lack_a_compiler(monkeypatch)
    wish = BASE.replace(epochs=3)
    with pytest.raises(InputError, match=f"compiled, but {NONE}; a config with compile='never'"):
        Trainer(wish, data, compiled).resume(saved)
    trainer = Trainer(wish.replace(compile="never"), data, compiled)
    trainer.resume(saved)
    assert [record.epoch for record in trainer.epochs()] == [3]
    with pytest.warns(RuntimeWarning, match=f"were compiled, which can't be had here .{NONE}"):
        opened = pickle.loads(pickled)
    assert (opened.config.compile, opened.config.tiles) == ("never", None)
    assert len(opened.history.epochs) == 2


def test_nets_side_by_side_run_each_as_its_config_says(compiled):
    configs = [BASE.replace(compile=wish) for wish in ("always", "never", "auto")]
    runs = fit_many([config.replace(seed=3) for config in configs], make_dataset())
    assert [run.config.compile for run in runs] == ["always", "never", "always"]
    assert [bool(run.trainer.problem.how) for run in runs] == [True, False, True]
    assert relative_distance(runs[0].model.params, runs[2].model.params) == 0.0


def test_steps_that_turn_out_not_to_compile_say_so(compiled, monkeypatch):
    def fails(text):
        raise NoCompiler("cc: wrote no library")

    monkeypatch.setattr(native, "load", fails)
    run = fit(BASE, make_dataset(), backend=compiled)
    assert run.trainer.problem.how == "replayed, as they can't be compiled: cc: wrote no library"
    never = fit(BASE.replace(compile="never"), make_dataset(), backend=compiled)
    assert relative_distance(run.model.params, never.model.params) == 0.0


def test_threads_of_replayed_steps_are_those_of_blas_while_they_train(numpy):
    def blas():
        return [library["num_threads"] for library in threadpool_info()]

    before, seen = blas(), []

    def look(trainer, record):
        with trainer.problem.running():
            seen.append(min(blas()))

    run = fit(BASE.replace(threads=1), make_dataset(), backend=numpy, callbacks=look)
    assert seen == [1, 1]
    assert blas() == before
    assert (run.config.compile, run.config.threads, run.config.tiles) == ("never", 1, None)
