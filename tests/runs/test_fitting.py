"""What comes of a training however it ends: Ctrl-C, a failure, a loop of one's own, a pickle."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import xpmlp
from tests.commands import run as train
from tests.conftest import load_or_skip
from tests.problems import make_dataset, make_regression
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.backends.registry import BackendUnavailableError
from xpmlp.errors import InputError, RunError
from xpmlp.leaves import leaves
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config

BASE = Config(hidden=(5,), epochs=6, batch_size=8, learning_rate=0.05, dropout=0.1, seed=3)


def same_weights(one, other):
    pairs = zip(leaves(one.params), leaves(other.params), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture
def heard(monkeypatch):
    """Ctrl-C is heard as in an interpreter."""
    if sys.platform == "win32":
        pytest.skip("signals differ on Windows")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class Once(xpmlp.Callback):
    """Presses Ctrl-C once, or twice, after some steps."""

    def __init__(self, at, times=1):
        self.every, self.at, self.times = 1, at, times

    def after_steps(self, steps):
        if steps.step == self.at:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_gives_what_was_learnt(heard, capsys):
    data = make_dataset()
    with pytest.warns(RuntimeWarning, match="interrupted after epoch 2 of 6; the run has what was"):
        run = fit(BASE, data, callbacks=Once(6))
    assert capsys.readouterr().err.strip().startswith("stopping after this epoch")
    assert (run.interrupted, len(run.history.epochs), run.record.epoch) == (True, 2, 2)
    assert "2 of 6 done, then interrupted" in repr(run)
    assert run.test is not None
    for _ in run.trainer.epochs():
        pass
    assert same_weights(run.trainer.model(), fit(BASE, data).model)
    assert len(run.history.epochs) == 2  # the run stays what it was


def test_ctrl_c_in_the_last_epoch_cuts_nothing_short(heard, capsys):
    run = fit(BASE, make_dataset(), callbacks=Once(23))
    assert (run.interrupted, len(run.history.epochs)) == (False, 6)


def test_a_second_ctrl_c_raises_at_once_and_loses_nothing(heard, capsys):
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(BASE, make_dataset(), callbacks=Once(6, times=2))
    run = caught.value.run
    assert (len(run.history.epochs), run.test) == (1, None)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_many(BASE.replace(seed=0, seeds=2).members(), make_dataset(), callbacks=Once(6, 2))
    assert [len(run.history.epochs) for run in caught.value.runs] == [1, 1]


def test_ctrl_c_in_fit_many(heard, capsys):
    configs = [BASE.replace(epochs=1), BASE]
    with pytest.warns(RuntimeWarning, match="interrupted"):
        runs = fit_many(configs, make_dataset(), callbacks=Once(6))
    assert [run.interrupted for run in runs] == [False, True]
    assert [len(run.history.epochs) for run in runs] == [1, 2]


def test_a_program_that_hears_ctrl_c_itself_goes_on_hearing_it():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        run = fit(BASE, make_dataset(), callbacks=Once(6))
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
    assert len(run.history.epochs) == 6


def test_other_threads_train_without_signals():
    runs = []
    thread = threading.Thread(target=lambda: runs.append(fit(BASE, make_dataset())))
    thread.start()
    thread.join()
    assert len(runs[0].history.epochs) == 6


def test_a_loss_that_diverges_leaves_the_run_up_to_there():
    data = make_dataset()

    class Spoils(xpmlp.Callback):
        def after_epoch(self, trainer, record):
            if record.epoch == 2:
                params = tuple(layer._replace(b=layer.b * np.nan) for layer in trainer.state.params)
                trainer.state = trainer.state._replace(params=params)

    with pytest.raises(RunError, match="the loss became nan") as caught:
        fit(BASE, data, callbacks=Spoils())
    run = caught.value.run
    assert run.failure is caught.value
    assert (len(run.history.epochs), run.interrupted) == (2, False)
    with pytest.raises(RunError) as caught:
        fit(BASE.replace(learning_rate=1e30), data)
    assert (caught.value.run.record, caught.value.run.test) == (None, None)


def test_the_bar_of_an_epoch_in_which_all_diverge_shows_nothing_of_it():
    with pytest.raises(RunError, match="the loss became"):
        fit(BASE.replace(learning_rate=1e30), make_dataset(), verbose=True)


def test_a_loop_of_ones_own_makes_a_run():
    data, backend = make_dataset(), load_or_skip("numpy")
    trainer = xpmlp.Trainer(BASE, data, backend)
    for record in trainer.epochs():
        if record.epoch == 4:
            break
    four = trainer.run()
    assert (four.record.epoch, four.test.accuracy) == (4, trainer.evaluate(data.test).accuracy)
    for _ in trainer.epochs():
        pass
    assert same_weights(trainer.run().model, fit(BASE, data, backend=backend).model)
    assert len(four.history.epochs) == 4
    with pytest.raises(InputError, match="of 4 epochs, and its trainer has gone on to 6"):
        four.save("nowhere")


@pytest.mark.parametrize("verbose", [None, False, True])
def test_a_bar_where_it_is_wanted(verbose, capsys):
    fit(BASE, make_dataset(), verbose=verbose)
    fit_many([BASE], make_dataset(), verbose=verbose)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("epoch/s" in err) == bool(verbose)  # no terminal here


RESULTS = {"config.toml", "checkpoint.safetensors", "model.safetensors", "summary.json"}
RESULTS |= {"checkpoint.history", "history.csv", "steps.csv"}


def test_a_saved_run_is_the_folder_that_the_command_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = Config(dataset="moons", hidden=(4,), epochs=3)
    saved = fit(config).save("mine")
    options = ("--dataset", "moons", "--hidden", "4", "--epochs", "3", "--no-plots")
    assert train(capsys, *options, "--out", "its")[0] == 0
    mine, its = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("mine", "its")
    )
    assert saved.name == "mine"
    assert its.keys() == RESULTS
    names = ("loss-per-step", "epochs", "gradient-magnitude", "confusion-matrix", "calibration")
    pictures = {f"{name}.png" for name in names}
    assert mine.keys() == RESULTS | pictures | {"decision-regions.png", "report.html"}
    for name in ("config.toml", "model.safetensors"):
        assert mine[name] == its[name]
    ours, theirs = (json.loads(files["summary.json"]) for files in (mine, its))
    differ = {name for name in theirs if ours.get(name) != theirs[name]}
    assert ours.keys() == theirs.keys()
    assert differ <= {"finished", "run_dir", "seconds_per_epoch", "images_per_second"} | {
        "peak_memory_bytes"
    }
    for folder in ("mine", "its"):
        resume = ("--resume", folder, "--epochs", "5", "--no-plots", "--quiet")
        assert train(capsys, *resume)[0] == 0
    assert same_weights(xpmlp.load("mine").model, xpmlp.load("its").model)


def test_data_that_was_handed_in_is_named_where_it_has_a_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = xpmlp.load_dataset("moons", validation=30, scale="standard")
    run = fit(BASE, data)
    run.save("one", pictures=False)
    assert {path.name for path in (tmp_path / "one").iterdir()} == RESULTS
    assert xpmlp.load("one").test.accuracy == run.test.accuracy
    resume = ("--resume", "one", "--epochs", "8", "--no-plots", "--quiet")
    assert train(capsys, *resume)[0] == 0
    assert len(xpmlp.load("one").history.epochs) == 8


@pytest.mark.parametrize(
    "parted", [{"validation": 0.3}, {"validation": 40, "seed": 3}, {"validation": 0}, {}]
)
@pytest.mark.parametrize("own", [None, 0.2])
def test_data_that_was_parted_otherwise_is_found_again(tmp_path, monkeypatch, capsys, parted, own):
    """As `load_dataset` parted it, whatever the config would have had."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("".join(f"{i % 9},{i % 5},{i % 2}\n" for i in range(200)))
    data = xpmlp.load_dataset("t.csv", **parted)
    fit(BASE.replace(dataset="t.csv", validation=own), data).save("one", pictures=False)
    found = xpmlp.load("one").data
    np.testing.assert_array_equal(found.train.x, data.train.x)
    np.testing.assert_array_equal(found.validation.x, data.validation.x)
    resume = ("--resume", "one", "--epochs", "8", "--no-plots", "--quiet")
    assert train(capsys, *resume)[0] == 0


def test_arrays_of_ones_own_go_on_in_python_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data, backend = make_dataset(dtype="float32"), load_or_skip("numpy", dtype="float32")
    run = fit(BASE, data, backend=backend)
    run.save("one", pictures=False)
    code, _, err = train(capsys, "--resume", "one", "--epochs", "8")
    assert (code, err.count("\n")) == (2, 1)
    assert "one was trained on 'blobs', which is neither a known data set nor a file" in err
    opened = xpmlp.load("one")
    assert opened.test_score == run.test_score
    opened.plot("epochs")
    with pytest.raises(InputError, match="'blobs', which is neither"):
        opened.evaluate()
    saved = xpmlp.Checkpoint.load("one/checkpoint.safetensors")
    trainer = xpmlp.Trainer(saved.config.replace(epochs=8), data, backend)
    trainer.resume(saved)
    assert [record.epoch for record in trainer.epochs()] == [7, 8]


def test_a_folder_that_holds_a_run_is_not_written_into(tmp_path):
    run = fit(BASE, make_dataset())
    run.save(tmp_path / "one", pictures=False)
    before = (tmp_path / "one/summary.json").read_bytes()
    with pytest.raises(InputError, match=r"one already holds config\.toml; choose another"):
        run.save(tmp_path / "one")
    assert (tmp_path / "one/summary.json").read_bytes() == before


def test_pictures_that_fail_cost_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("xpmlp.runs.drawing.write_pictures", lambda *_: 1 / 0)
    with pytest.warns(RuntimeWarning, match="the pictures could not be drawn: ZeroDivisionError"):
        fit(BASE, make_dataset()).save(tmp_path / "one")
    assert xpmlp.load(tmp_path / "one").record.epoch == 6


def test_results_that_can_not_be_written_are_named_and_have_no_mark(tmp_path, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    run = fit(BASE, make_dataset())
    with monkeypatch.context() as patch:
        patch.setattr(xpmlp.Model, "save", full)
        with pytest.raises(RunError, match=r"can't write .*model\.safetensors: No space left"):
            run.save(tmp_path / "one")
    assert not (tmp_path / "one/summary.json").exists()


THEIRS = """
import pickle, sys
import numpy as np
run, x = pickle.load(open("run", "rb"))
figure = run.plot("epochs")
for _ in run.trainer.epochs():
    pass
again = run.trainer.run()
pickle.dump((run.model.logits(x), again.model, again.history.steps), open("answer", "wb"))
"""


@pytest.mark.parametrize("options", [{}, {"early_stopping": 2, "optimizer": "adam"}], ids=str)
def test_a_run_goes_on_in_another_process_to_the_same_bits(options, tmp_path):
    """Half of it here, pickled, the rest there."""
    config, data = BASE.replace(epochs=8, **options), make_dataset()
    backend = load_or_skip("numpy")
    half = fit(config, data, backend=backend, callbacks=lambda _, record: record.epoch == 3)
    x = data.test.x
    (tmp_path / "run").write_bytes(pickle.dumps((half, x)))
    path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", THEIRS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    logits, model, steps = pickle.loads((tmp_path / "answer").read_bytes())
    np.testing.assert_array_equal(logits, half.model.logits(x))
    whole = fit(config, data, backend=backend)
    assert same_weights(model, whole.model)
    np.testing.assert_array_equal(steps, whole.history.steps)


def test_what_pickles_comes_back_the_same(backend):
    data = make_regression()
    run = fit(BASE, data, backend=backend)
    for thing in (BASE, run.model, run, [run]):
        again = pickle.loads(pickle.dumps(thing))
        assert type(again) is type(thing)
    again = pickle.loads(pickle.dumps(run))
    assert repr(again) == repr(run)
    assert again.config == run.config
    assert again.trainer.backend.describe() == backend.describe()
    assert same_weights(again.model, run.model)
    assert again.trainer.run().test.loss == run.test.loss


def test_a_failed_run_pickles_with_its_failure():
    with pytest.raises(RunError) as caught:
        fit(BASE.replace(learning_rate=1e30), make_dataset())
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.run.failure is again


def test_rows_on_a_device_are_pickled_from_the_host():
    backend = load_or_skip("jax", dtype="float32")
    data = make_dataset(dtype="float32")
    on_device = xpmlp.Dataset(
        data.name,
        data.task,
        *(
            xpmlp.Rows(backend.asarray(rows.x), rows.y)
            for rows in (data.train, data.validation, data.test)
        ),
        data.class_names,
    )
    again = pickle.loads(pickle.dumps(fit(BASE, on_device, backend=backend)))
    assert isinstance(again.data.train.x, np.ndarray)
    np.testing.assert_array_equal(again.data.train.x, data.train.x)


def test_where_the_backend_is_missing_numpy_stands_in_loudly(monkeypatch):
    class Elsewhere(NumpyBackend):
        name = "cupy"

    def missing(name, *rest, **options):
        if name == "cupy":
            raise BackendUnavailableError("backend cupy can't run here")
        return real(name, *rest, **options)

    backend = Elsewhere("cpu", "float32")
    backend.device = "cuda:1"
    run = fit(BASE, make_dataset(dtype="float32"), backend=backend)
    text, real = pickle.dumps(run), xpmlp.select_backend
    monkeypatch.setattr("xpmlp.runs.run.select_backend", missing)
    says = r"trained by cupy on cuda:1, which can't be had here \(backend cupy can't run here\); n"
    with pytest.warns(RuntimeWarning, match=says):
        again = pickle.loads(text)
    assert again.trainer.backend.name == "numpy"
    assert again.trainer.finished
