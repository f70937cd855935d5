"""`xpmlp sweep`: what is trained, dropped, saved and written; and that it goes on to the bit."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import xpmlp
from tests.commands import runner
from xpmlp import evaluate, sweep, train
from xpmlp.runs.lock import FolderLock
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config

run = runner(sweep.main)
NET = ["--dataset", "moons", "--hidden", "3,4x4", "--backend", "numpy", "--batch-size", "32"]
SMALL = [*NET, "--dtype", "float64", "--no-plots", "--quiet"]
OPTIONS = [
    *SMALL,
    "--hidden",
    "3,5,4x4",
    "--learning-rate",
    "0.003..1",
    "--trials",
    "9",
    "--seeds",
    "2",
    "--epochs",
    "9",
]
SCHEDULES = {
    "none": [],
    "sync": ["--halving", "sync"],
    "sync in waves": ["--halving", "sync", "--at-once", "6"],
    "async in waves": ["--halving", "async", "--at-once", "6"],
}


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """Nothing waits for the disk: a process that is killed leaves what it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xpmlp.files._sync", lambda number: None)
        yield


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A whole sweep under each schedule."""
    folder = tmp_path_factory.mktemp("done")
    for name, flags in SCHEDULES.items():
        assert sweep.main([*OPTIONS, *flags, "--out", str(folder / name)]) == 0
    return folder


def rows(folder, without=("seconds",)):
    table = csv.DictReader((folder / "results.csv").read_text().splitlines())
    return [{k: v for k, v in row.items() if k not in without} for row in table]


def results(folder):
    return json.loads((folder / "results.json").read_text())


def same_sweeps(one, other):
    """Tell whether two sweeps came to the same tables and nets, to the bit, times apart."""
    assert rows(one) == rows(other)
    assert (one / "best.toml").read_text() == (other / "best.toml").read_text()
    assert results(one)["best"] == results(other)["best"]
    files = sorted(path.relative_to(one) for path in one.rglob("checkpoint.safetensors"))
    assert len(files) == 18
    for file in files:
        mine, theirs = Checkpoint.load(one / file), Checkpoint.load(other / file)
        for ours, own in zip(mine.state.params, theirs.state.params, strict=True):
            np.testing.assert_array_equal(ours.W, own.W)
            np.testing.assert_array_equal(ours.b, own.b)
        np.testing.assert_array_equal(mine.steps, theirs.steps)


def stopped(monkeypatch, after, *arguments):
    """Run a sweep in which Ctrl-C comes after so many epochs of waves; return its exit code."""
    show, shown = sweep.Watch.show, []

    def noting(self, wave, records):
        show(self, wave, records)
        shown.extend(records[:1])
        if records and len(shown) == after:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Watch, "show", noting)
        return sweep.main(list(arguments))


def test_a_member_is_the_net_that_fit_trains_alone(done):
    for trial in (1, 5):
        folder = done / f"none/trial-{trial}"
        config = Config.load(folder / "config.toml")
        for member in config.members():
            alone = xpmlp.fit(member, verbose=False)
            saved = Checkpoint.load(folder / f"seed-{member.seed}/checkpoint.safetensors")
            for mine, theirs in zip(saved.state.params, alone.model.params, strict=True):
                np.testing.assert_allclose(mine.W, theirs.W, rtol=1e-10, atol=1e-13)
            losses = [record.validation_loss for record in saved.epochs]
            np.testing.assert_allclose(losses, alone.history.epoch_values("validation_loss"), 1e-10)


def test_the_tables_say_what_the_members_came_to(done):
    folder = done / "none"
    found, table = results(folder), rows(folder, ())
    assert [trial["rank"] for trial in found["trials"]] == list(range(1, 10))
    means = [trial["validation_loss"]["mean"] for trial in found["trials"]]
    assert means == sorted(means)
    assert len(table) == 18
    assert list(table[0])[:6] == ["rank", "trial", "hidden", "learning_rate", "status", "seed"]
    for trial, first, second in zip(found["trials"], table[::2], table[1::2], strict=True):
        losses = [float(row["validation_loss"]) for row in (first, second)]
        assert trial["validation_loss"]["mean"] == pytest.approx(np.mean(losses), rel=1e-15)
        assert trial["validation_loss"]["std"] == pytest.approx(np.std(losses, ddof=1), rel=1e-12)
        assert first["hidden"] == "x".join(map(str, trial["settings"]["hidden"]))
        assert {first["status"], first["epochs"], first["epoch"]} == {"finished", "9"}
        assert float(first["seconds"]) > 0


def test_the_best_is_a_whole_run_and_a_config_that_trains_it_again(done, capsys, away):
    folder = done / "sync"
    best = results(folder)["best"]
    assert run_of(train, "--config", folder / "best.toml", "--out", "again", "--no-plots") == 0
    for seed in (0, 1):
        mine = xpmlp.load(folder / best["folder"] / f"seed-{seed}")
        theirs = xpmlp.load(away / f"again/seed-{seed}")
        for ours, own in zip(mine.model.params, theirs.model.params, strict=True):
            np.testing.assert_allclose(ours.W, own.W, rtol=1e-10, atol=1e-13)
    assert run_of(evaluate, folder / best["folder"], "--out", "figures") == 0
    capsys.readouterr()
    others = [path for path in folder.glob("trial-*") if path.name != best["folder"]]
    assert not any(list(path.rglob("summary.json")) for path in others)
    assert set(best["test_loss"]) == {"mean", "std", "lowest", "highest"}


def run_of(command, *arguments):
    return command.main([str(argument) for argument in arguments])


def test_halving_drops_two_thirds_at_each_rung_and_they_train_no_more(done):
    trials = results(done / "sync")["trials"]
    epochs = sorted(member["epochs"] for trial in trials for member in trial["members"])
    assert epochs == [1] * 12 + [3] * 4 + [9] * 2
    by_number = {trial["trial"]: trial for trial in trials}
    whole = {trial["trial"]: trial for trial in results(done / "none")["trials"]}
    for number in by_number:
        place = done / f"none/trial-{number}"
        losses = [
            np.mean([e.validation_loss for e in epochs])
            for epochs in zip(*(Checkpoint.load(c).epochs for c in checkpoints(place)), strict=True)
        ]
        whole[number] = losses
    survivors = sorted(whole, key=lambda number: whole[number][0])[:3]
    assert {n for n, t in by_number.items() if t["dropped_after"] != 1} == set(survivors)
    (winner,) = [n for n, t in by_number.items() if t["status"] == "finished"]
    assert winner == min(survivors, key=lambda number: whole[number][2])
    for path in checkpoints(done / "sync"):
        assert len(Checkpoint.load(path).epochs) in (1, 3, 9)


def checkpoints(folder):
    return sorted(folder.rglob("checkpoint.safetensors"))


def test_waves_change_rounding_alone_where_all_wait_and_who_is_dropped_where_none_does(done):
    one, two = results(done / "sync"), results(done / "sync in waves")
    assert [t["trial"] for t in one["trials"]] == [t["trial"] for t in two["trials"]]
    for mine, theirs in zip(one["trials"], two["trials"], strict=True):
        assert mine["status"] == theirs["status"]
        assert mine["validation_loss"] == pytest.approx(theirs["validation_loss"], rel=1e-9)
    late = results(done / "async in waves")["trials"]
    (first,) = [t["trial"] for t in late if t["trial"] <= 3 and t["status"] == "finished"]
    whole = {t["trial"]: t for t in results(done / "none")["trials"]}
    mine = next(t for t in late if t["trial"] == first)
    assert mine["validation_loss"] == pytest.approx(whole[first]["validation_loss"], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("sync", 2),
        ("sync in waves", 5),
        ("async in waves", 11),
        *(pytest.param("sync in waves", i, marks=pytest.mark.thorough) for i in (1, 2, 3, 4, 6, 9)),
        *(pytest.param("async in waves", i, marks=pytest.mark.thorough) for i in (1, 3, 9, 10, 13)),
    ],
)
def test_a_sweep_that_was_stopped_goes_on_to_the_bit(name, after, done, monkeypatch, capsys, away):
    code = stopped(monkeypatch, after, *OPTIONS, *SCHEDULES[name], "--out", "half")
    err = capsys.readouterr().err
    assert code == 130
    assert err.endswith("interrupted and saved; go on with --resume half\n")
    assert not (away / "half/best.toml").exists()
    assert run(capsys, "--resume", "half", "--no-plots", "--quiet")[0] == 0
    same_sweeps(done / name, away / "half")


def test_a_whole_sweep_that_is_resumed_is_written_anew(done, capsys, away):
    shutil.copytree(done / "sync", away / "copy")
    (away / "copy/best.toml").unlink()
    code, out, err = run(capsys, "--resume", "copy", "--no-plots")
    assert (code, err) == (0, "")
    assert "1 finished, 8 dropped" in out
    same_sweeps(done / "sync", away / "copy")


CHILD = f"""
import os, signal
from pathlib import Path
from xpmlp import files, sweep, train

files._sync = lambda number: None
train.LEAST_SHARE = 0.0
sweep.SECONDS_BETWEEN_CHECKPOINTS = 0.0
replace = Path.replace

def killed_at(end, times, *arguments):
    seen = []
    def kill(self, target):
        seen.extend([1] * str(target).endswith(end))
        if len(seen) == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)
    child = os.fork()
    if child == 0:
        Path.replace = kill
        sweep.main(list(arguments))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, end

for i, (name, times) in enumerate(KILLS):
    killed_at(name, times, *{OPTIONS}, "--halving", "sync", "--out", f"killed-{{i}}")
"""
KILLS = (
    ("trial-5/config.toml", 1),
    ("trial-5/seed-1/checkpoint.next.safetensors", 1),
    ("trial-5/seed-1/checkpoint.safetensors", 1),
    ("/checkpoint.safetensors", 18 + 18 + 3),
    ("/checkpoint.next.safetensors", 18 + 18 + 3),
    ("/results.json", 3),
    ("/model.safetensors", 2),
    ("/best.toml", 1),
)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
@pytest.mark.parametrize(
    "kills", [KILLS[2:4], pytest.param(KILLS, marks=pytest.mark.thorough)], ids=["some", "all"]
)
def test_a_sweep_that_was_killed_goes_on_to_the_bit(kills, done, capsys, away):
    code = CHILD.replace("KILLS", repr(kills))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert child.returncode == 0, child.stderr.decode()
    for i in range(len(kills)):
        assert run(capsys, "--resume", f"killed-{i}", "--no-plots", "--quiet")[::2] == (0, "")
        same_sweeps(done / "sync", away / f"killed-{i}")


def test_a_trial_that_fails_is_dropped_told_and_never_the_best(capsys, away):
    flags = [*SMALL, "--l2", "1e200,0", "--seeds", "2", "--epochs", "3"]
    assert run(capsys, *flags, "--out", "one")[0] == 0
    found = results(away / "one")
    last = found["trials"][-2:]
    assert [trial["status"] for trial in last] == ["failed", "failed"]
    assert last[0]["members"][0]["failure"].startswith("the loss became")
    assert found["best"]["trial"] in (2, 4)
    (away / "one/best.toml").unlink()
    assert run(capsys, "--resume", "one", "--quiet", "--no-plots")[::2] == (0, "")
    assert results(away / "one")["trials"] == found["trials"]
    code, _, err = run(capsys, *NET, "--no-plots", "--quiet", "--l2", "1e200", "--dtype", "float64")
    assert code == 1
    assert "all 2 trials failed; trial 1: the loss became" in err


def test_early_stopping_judges_by_the_best_epoch(capsys, away):
    flags = [*SMALL, "--learning-rate", "0.3,1", "--epochs", "40", "--early-stopping", "2"]
    assert run(capsys, *flags, "--out", "one")[0] == 0
    ended = [row for row in rows(away / "one") if int(row["epochs"]) < 40]
    assert ended
    for row in ended:
        assert (row["status"], int(row["epochs"]) - int(row["epoch"])) == ("finished", 2)
        history = Checkpoint.load(away / f"one/trial-{row['trial']}/checkpoint.safetensors").epochs
        assert float(row["validation_loss"]) == min(r.validation_loss for r in history)


def test_settings_of_the_data_have_rows_of_their_own(capsys, away):
    flags = ["--dataset", "iris", "--hidden", "4", "--epochs", "2", "--no-plots", "--quiet"]
    flags += ["--scale", "none,standard", "--dtype", "float32,float64", "--by", "accuracy"]
    code, _, err = run(capsys, *flags, "--out", "one")
    assert (code, err) == (0, "")
    for trial in results(away / "one")["trials"]:
        config = Config.load(away / f"one/trial-{trial['trial']}/config.toml")
        assert (config.scale, config.dtype) == tuple(trial["settings"].values())
        assert (
            run_of(
                train,
                "--config",
                away / f"one/trial-{trial['trial']}/config.toml",
                "--out",
                f"alone-{trial['trial']}",
                "--no-plots",
                "--quiet",
            )
            == 0
        )
        summary = json.loads((away / f"alone-{trial['trial']}/summary.json").read_text())
        assert summary["validation_accuracy"] == trial["validation_accuracy"]["mean"]


def test_a_file_of_options_may_hold_alternatives(capsys, away):
    text = 'dataset = "xor"\nhidden = [2]\nepochs = 1\nlearning_rate = "0.1,0.2"\n'
    (away / "search.toml").write_text(text)
    code, out, _ = run(capsys, "--config", "search.toml", "--l2", "0,1", "--json", "--no-plots")
    assert code == 0
    assert json.loads(out)["swept"] == {"learning_rate": "0.1,0.2", "l2": "0,1"}
    assert len(json.loads(out)["trials"]) == 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--hidden", "4"], "nothing to search"),
        (["--learning-rat", "1"], "(did you mean --learning-rate?)"),
        (["--optimizer", "adam,adan"], "unknown optimizer 'adan' (did you mean 'adam'?)"),
        (["--hidden", "4,8", "--validation", "0"], "has none here; give --validation 0.1"),
        (["--hidden", "4,8", "--activation", "reluxtanh"], "trial 1 (hidden 4): 2 activations"),
        (["--hidden", "4,8", "--seeds", "3", "--at-once", "2"], "--at-once is 2; it must be 3"),
        (["--hidden", "4,8", "--eta", "4"], "--eta and --first-rung go with --halving"),
        (["--epochs", "2,4", "--halving", "sync"], "give one number of --epochs"),
        (["--loss", "auto,huber"], "decide --by accuracy"),
        (["--seed", "1", "--seeds", "2", "--hidden", "4,8"], "can't both be given"),
        (["--l2", "1e-4..1e-1"], "how many to draw with --trials N"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, capsys, away):
    code, out, err = run(capsys, "--dataset", "moons", "--no-plots", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xpmlp sweep: ")
    assert expected in err
    assert len(err.splitlines()) == 1
    assert list(away.iterdir()) == []


def test_nothing_is_overwritten_and_what_goes_on_stays_as_it_is(done, capsys, away):
    shutil.copytree(done / "sync", away / "one")
    assert (
        "already holds sweep.json; choose another --out, or go on with that sweep"
        in (run(capsys, *OPTIONS, "--out", "one")[2])
    )
    err = runner(train.main)(capsys, "--dataset", "xor", "--out", "one/trial-1")[2]
    assert "already holds config.toml" in err
    assert (
        "so --hidden, --out can't be given"
        in (run(capsys, "--resume", "one", "--hidden", "3", "--out", "two")[2])
    )
    assert "holds no sweep to resume" in run(capsys, "--resume", "nowhere")[2]
    (away / "one/sweep.json").write_text('{"format": "xpmlp-sweep-1"}')
    code, _, err = run(capsys, "--resume", "one")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "is not the plan of a sweep, or damaged" in err


def test_a_folder_that_goes_away_is_made_anew(done, monkeypatch, capsys, away):
    show, shown = sweep.Watch.show, []

    def removing(self, wave, records):
        show(self, wave, records)
        shown.extend(records[:1])
        if records and len(shown) == 2:
            shutil.rmtree("one")

    monkeypatch.setattr(sweep.Watch, "show", removing)
    code, _, err = run(capsys, *OPTIONS, "--out", "one")
    assert code == 0
    assert "warning: one had gone away; it was made anew" in err
    same_sweeps(done / "none", away / "one")


def test_one_sweep_at_a_time_in_a_folder_and_no_run_in_its_trials(done, capsys, away):
    shutil.copytree(done / "sync", away / "one")
    with FolderLock() as lock:
        lock.take(away / "one")
        child = "from xpmlp import {0}; raise SystemExit({0}.main(['--resume', '{1}']))"
        for command, folder in (("sweep", "one"), ("train", "one/trial-1")):
            code = child.format(command, folder)
            ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert ended.returncode == 2
            assert "is in use by another run" in ended.stderr
