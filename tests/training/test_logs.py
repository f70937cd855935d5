"""Ready callbacks: tables that can be read while they grow, and TensorBoard's own log."""

import numpy as np
import pytest

import xpmlp
from tests.problems import make_dataset, make_regression
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.history import History
from xpmlp.training.live_tables import LiveTables
from xpmlp.training.trainer import Trainer

BASE = Config(hidden=(4,), epochs=3, batch_size=8, dtype="float64", learning_rate=0.05)


def same(read, written):
    assert read.epochs == written.epochs
    assert read.metric_names == written.metric_names
    np.testing.assert_array_equal(read.steps, written.steps)
    np.testing.assert_array_equal(read.learning_rates, written.learning_rates)


@pytest.mark.parametrize("data", [make_dataset(), make_regression()], ids=lambda data: data.name)
def test_tables_are_whole_after_every_epoch(data, tmp_path):
    seen = []

    def read(trainer, record):
        history = History.read(tmp_path / "log")
        same(history, trainer.history)
        seen.append(len(history.epochs))

    log = xpmlp.CSVLog(tmp_path / "log")
    run = fit(BASE, data, callbacks=[log, read])
    assert seen == [1, 2, 3]
    same(History.read(tmp_path / "log"), run.history)


def test_rows_are_appended_and_the_file_stays_the_same_one(tmp_path):
    """As `tail -f` needs it."""
    before = {}

    def grown(trainer, record=None):
        for path in tmp_path.glob("log/*.csv"):
            number, start = before.get(path, (path.stat().st_ino, b""))
            assert path.stat().st_ino == number
            assert path.read_bytes().startswith(start)
            before[path] = number, path.read_bytes()

    fit(BASE, make_dataset(), callbacks=[xpmlp.CSVLog(tmp_path / "log"), grown])
    assert {path.name for path in before} == {"history.csv", "steps.csv"}


def test_a_table_that_went_away_is_written_anew(tmp_path):
    def away(trainer, record):
        (tmp_path / "log/steps.csv").unlink()

    fit(BASE, make_dataset(), callbacks=[away, xpmlp.CSVLog(tmp_path / "log")])
    assert len(History.read(tmp_path / "log").epochs) == 3


def test_each_net_of_several_has_a_folder(tmp_path):
    configs = BASE.replace(seeds=3).members()
    runs = fit_many(configs, make_dataset(), callbacks=xpmlp.CSVLog(tmp_path / "log"))
    for run, name in zip(runs, ("log", "log-2", "log-3"), strict=True):
        same(History.read(tmp_path / name), run.history)


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log/steps.csv").write_text("mine")
    with pytest.raises(InputError, match=r"log already holds steps\.csv; choose another folder"):
        fit(BASE, make_dataset(), callbacks=xpmlp.CSVLog(tmp_path / "log"))
    assert (tmp_path / "log/steps.csv").read_text() == "mine"
    with pytest.raises(InputError, match="can't make the folder"):
        fit(BASE, make_dataset(), callbacks=xpmlp.CSVLog(tmp_path / "log/steps.csv/x"))


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_what_a_kill_in_the_middle_of_a_write_leaves_is_read(cut, tmp_path):
    """Some of the steps of an epoch whose own row is not there yet."""
    backend = xpmlp.select_backend("numpy", "cpu", "float64").backend
    trainer, tables = Trainer(BASE, make_dataset(), backend), LiveTables(tmp_path)
    for _ in zip(range(2), trainer.epochs(), strict=False):
        tables.update(trainer.history)
    steps = trainer.history.texts(since=1)["steps.csv"]
    history = trainer.history.texts()["history.csv"].splitlines(keepends=True)[:2]
    (tmp_path / "history.csv").write_text("".join(history), newline="")
    whole = (tmp_path / "steps.csv").read_bytes()
    (tmp_path / "steps.csv").write_bytes(whole[: -len(steps) + cut])
    with pytest.warns(UserWarning, match=r"steps\.csv ends within a line, as where its run was"):
        read = History.read(tmp_path)
    assert read.epochs == trainer.history.epochs[:1]
    done = len(trainer.history.step_parts[0]) + steps[:cut].count("\n")
    np.testing.assert_array_equal(read.steps, trainer.history.steps[:done])


def test_epochs_written_at_once_are_read_wherever_a_kill_falls(tmp_path, monkeypatch):
    """The steps of each are followed by its row, so that they are never two epochs ahead."""
    backend = xpmlp.select_backend("numpy", "cpu", "float64").backend
    trainer, tables = Trainer(BASE, make_dataset(), backend), LiveTables(tmp_path)
    seen, texts = [], History.texts

    def looked_at(history, *epochs):
        seen.append(len(History.read(tmp_path).epochs))
        return texts(history, *epochs)

    for _ in zip(range(4), trainer.epochs(), strict=False):
        if not seen:
            tables.update(trainer.history)
            monkeypatch.setattr(History, "texts", looked_at)
            seen.append(0)
    tables.update(trainer.history)
    assert seen == [0, 1, 2]
    read = History.read(tmp_path)
    assert read.epochs == trainer.history.epochs
    np.testing.assert_array_equal(read.steps, trainer.history.steps)


def test_tensorboard_reads_back_what_was_written(tmp_path):
    name = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(name, reason="tensorboard is not installed")
    log = xpmlp.TensorBoardLog(tmp_path / "log", every=3)
    runs = fit_many(BASE.replace(seeds=2).members(), make_dataset(), callbacks=log)
    for run, folder in zip(runs, ("log", "log-2"), strict=True):
        found = reader.EventAccumulator(str(tmp_path / folder)).Reload()

        def figures(tag, found=found):
            events = found.Tensors(tag)
            return [e.step for e in events], [e.tensor_proto.float_val[0] for e in events]

        history = run.history
        for tag, column in (
            ("epoch_loss/train", "train_loss"),
            ("epoch_accuracy/validation", "validation_accuracy"),
            ("epoch/learning_rate", "learning_rate"),
        ):
            numbers, values = figures(tag)
            assert numbers == [1, 2, 3]
            np.testing.assert_array_equal(values, history.epoch_values(column).astype(np.float32))
        numbers, values = figures("step/norm_dW1")
        assert numbers == [3, 6, 9, 12]
        expected = history.metric("norm_dW1")[2::3].astype(np.float32)
        np.testing.assert_array_equal(values, expected)
    with pytest.raises(InputError, match="log already holds events.out"):
        fit(BASE, make_dataset(), callbacks=xpmlp.TensorBoardLog(tmp_path / "log"))


def test_without_tensorboard_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.summary", None)
    with pytest.raises(InputError, match="needs the package tensorboard .*pip install tensorboard"):
        xpmlp.TensorBoardLog(tmp_path)
