"""`xpmlp train --seeds`: many nets in one command, each as if it were alone."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.commands import interrupted_training, run
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.model import Model

OPTIONS = ["--dataset", "iris", "--hidden", "5", "--epochs", "4", "--batch-size", "16"]
OPTIONS += ["--dtype", "float64", "--no-plots"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def summary(path):
    return json.loads((path / "summary.json").read_text())


def test_each_seed_has_the_files_that_it_would_have_alone(capsys, tmp_path):
    code, out, err = run(capsys, *OPTIONS, "--seeds", "0,3,7", "--out", "many")
    assert (code, err) == (0, "")
    assert "seeds 0, 3, 7" in out
    assert "means of 3 seeds:" in out
    assert "mean ± standard deviation (lowest to highest) over 3 seeds" in out
    names = {path.name for path in (tmp_path / "many").iterdir()}
    assert names == {"config.toml", "summary.json", "seed-0", "seed-3", "seed-7"}
    for seed in (0, 3, 7):
        assert run(capsys, *OPTIONS, "--seed", seed, "--out", f"alone-{seed}")[0] == 0
        together, alone = tmp_path / f"many/seed-{seed}", tmp_path / f"alone-{seed}"
        assert {p.name for p in together.iterdir()} == {p.name for p in alone.iterdir()}
        assert (together / "config.toml").read_text() == (alone / "config.toml").read_text()
        mine, theirs = (Model.load(p / "model.safetensors").params for p in (together, alone))
        for ours, own in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(ours.W, own.W, rtol=1e-11)
        one, other = (np.genfromtxt(p / "steps.csv", delimiter=",") for p in (together, alone))
        np.testing.assert_allclose(one, other, rtol=1e-10)
        assert summary(together)["test_accuracy"] == summary(alone)["test_accuracy"]


def test_the_summary_is_that_of_its_members(capsys, tmp_path):
    code, out, _ = run(capsys, *OPTIONS, "--seeds", "4", "--out", "many", "--json")
    figures = json.loads(out)
    assert (code, figures["seeds"], figures["failed_seeds"]) == (0, [0, 1, 2, 3], {})
    assert figures == summary(tmp_path / "many")
    losses = [member["test_loss"] for member in figures["members"]]
    assert losses == [summary(tmp_path / f"many/seed-{s}")["test_loss"] for s in range(4)]
    assert figures["test_loss"] == pytest.approx(
        {
            "mean": np.mean(losses),
            "std": np.std(losses, ddof=1),
            "lowest": min(losses),
            "highest": max(losses),
        }
    )


def test_the_config_of_many_seeds_reproduces_them(capsys, tmp_path):
    run(capsys, *OPTIONS, "--seeds", "2,5", "--out", "one")
    assert run(capsys, "--config", "one/config.toml", "--out", "two", "--no-plots")[0] == 0
    for seed in (2, 5):
        one, two = (tmp_path / f"{n}/seed-{seed}/model.safetensors" for n in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_pictures_are_drawn_over_all_seeds(capsys, tmp_path):
    code, _, err = run(capsys, *OPTIONS[:-1], "--seeds", "3", "--out", "many")
    assert (code, err) == (0, "")
    pictures = {path.stem for path in (tmp_path / "many").glob("*.png")}
    assert pictures == {"loss-per-step", "epochs", "gradient-magnitude"}
    assert not list((tmp_path / "many").glob("seed-*/*.png"))


def test_one_that_diverges_is_named_and_the_others_are_saved(capsys, tmp_path, monkeypatch):
    from xpmlp.training.trainer import Trainer

    refuse = Trainer._refuse_divergence

    def seed_1_explodes(self, losses, *figures):
        explodes = (self.config.seed, len(self.history.epochs)) == (1, 2)
        refuse(self, [np.nan] if explodes else losses, *figures)

    monkeypatch.setattr(Trainer, "_refuse_divergence", seed_1_explodes)
    code, out, err = run(capsys, *OPTIONS, "--seeds", "3", "--out", "many")
    assert code == 1
    assert err.startswith("xpmlp train: 1 of 3 seeds failed (1): the loss became nan at step 1")
    assert "means of 2 of 3 seeds:" in out
    assert "over 2 seeds" in out
    assert "seed 1 failed: the loss became nan" in out
    figures = summary(tmp_path / "many")
    assert list(figures["failed_seeds"]) == ["1"]
    assert [member["epochs"] for member in figures["members"]] == [4, 2, 4]
    known = [figures["members"][i]["test_loss"] for i in (0, 2)]
    assert figures["test_loss"]["mean"] == pytest.approx(np.mean(known))
    assert len(Checkpoint.load(tmp_path / "many/seed-1/checkpoint.safetensors").epochs) == 2


def test_a_lack_of_memory_ends_all_seeds_and_saves_them(capsys, tmp_path, monkeypatch):
    run_epoch, epochs = NumpyBackend.run_epoch, []

    def hungry(self, *arguments):
        epochs.append(1)
        if len(epochs) == 3:
            raise MemoryError("8 GiB")
        return run_epoch(self, *arguments)

    monkeypatch.setattr(NumpyBackend, "run_epoch", hungry)
    code, out, err = run(capsys, *OPTIONS, "--seeds", "3", "--backend", "numpy", "--out", "many")
    assert code == 1
    assert err.startswith("xpmlp train: out of memory on cpu with numpy; try a smaller batch_size")
    assert len(err.splitlines()) == 1
    assert "seed 1 failed: out of memory on cpu" in out
    for seed in range(3):
        checkpoint = Checkpoint.load(tmp_path / f"many/seed-{seed}/checkpoint.safetensors")
        assert len(checkpoint.epochs) == 2
        assert (tmp_path / f"many/seed-{seed}/model.safetensors").exists()


def test_resuming_many_seeds_goes_on_to_the_same_end(capsys, tmp_path):
    long = [*OPTIONS, "--lr-schedule", "constant", "--seeds", "3"]
    run(capsys, *long, "--out", "whole", "--quiet")
    run(capsys, *long, "--epochs", "2", "--out", "many", "--quiet")
    (tmp_path / "many/seed-2/checkpoint.safetensors").unlink()
    code, _, err = run(capsys, "--resume", "many", "--epochs", "4", "--no-plots")
    assert code == 2
    assert "many/seed-2 holds model.safetensors but no checkpoint.safetensors" in err
    (tmp_path / "many/seed-2/model.safetensors").unlink()  # as if killed before its first
    code, _, err = run(capsys, "--resume", "many", "--epochs", "4", "--no-plots")
    assert (code, err) == (0, "note: seed 2 has no checkpoint yet, so it starts anew\n")
    for seed in range(3):
        one, two = (
            Model.load(tmp_path / f"{name}/seed-{seed}/model.safetensors").params
            for name in ("many", "whole")
        )
        np.testing.assert_allclose(one[0].W, two[0].W, rtol=1e-11)
    assert "epochs = 4" in (tmp_path / "many/config.toml").read_text()
    assert summary(tmp_path / "many")["epochs"] == 4
    code, _, err = run(capsys, "--resume", "many", "--no-plots")
    assert code == 0
    assert "many has done 4 of 4 epochs, so there is nothing left to train" in err
    assert run(capsys, "--resume", "many/seed-1", "--epochs", "6", "--quiet", "--no-plots")[0] == 0
    code, _, err = run(capsys, "--resume", "many", "--epochs", "5")
    assert code == 2
    assert "a seed of many has done 6 epochs, more than 5; ask for at least 6" in err


def test_a_seed_of_many_can_be_resumed_alone(capsys, tmp_path):
    run(capsys, *OPTIONS, "--seeds", "2", "--out", "many", "--quiet")
    code, out, _ = run(capsys, "--resume", "many/seed-1", "--epochs", "6", "--json", "--no-plots")
    assert (code, json.loads(out)["epochs"]) == (0, 6)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_ctrl_c_saves_every_seed(capsys, tmp_path):
    options = ["--dataset", "iris", "--hidden", "20", "--batch-size", "4", "--epochs", "100000"]
    process, err = interrupted_training(*options, "--seeds", "3", "--out", "many")
    assert process.returncode == 130
    assert "interrupted and saved; go on with --resume many" in err
    done = {
        len(Checkpoint.load(tmp_path / f"many/seed-{s}/checkpoint.safetensors").epochs)
        for s in range(3)
    }
    assert done == {summary(tmp_path / "many")["epochs"]}
    more = ["--resume", "many", "--epochs", done.pop() + 2, "--no-plots", "--quiet"]
    assert run(capsys, *more)[0] == 0


def test_results_in_a_seeds_folder_are_never_overwritten(capsys, tmp_path):
    run(capsys, *OPTIONS, "--seed", "42", "--out", "many/seed-0", "--quiet")
    before = (tmp_path / "many/seed-0/model.safetensors").read_bytes()
    code, _, err = run(capsys, *OPTIONS, "--seeds", "2", "--out", "many")
    assert code == 2
    assert "many/seed-0 already holds config.toml; choose another --out" in err
    assert (tmp_path / "many/seed-0/model.safetensors").read_bytes() == before
    assert not (tmp_path / "many/config.toml").exists()


def test_ctrl_c_in_the_last_epoch_changes_nothing(capsys, tmp_path, monkeypatch):
    from xpmlp.training.trainer import Trainer

    accept = Trainer.accept

    def interrupted(self, plan, result):
        if len(self.history.epochs) == 3 and self.config.seed == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return accept(self, plan, result)

    monkeypatch.setattr(Trainer, "accept", interrupted)
    code, _, err = run(capsys, *OPTIONS[:-1], "--seeds", "2", "--out", "many")
    assert (code, summary(tmp_path / "many")["interrupted"]) == (0, False), err
    assert (tmp_path / "many/epochs.png").exists()


def test_early_stopping_is_told(capsys):
    options = ["--dataset", "iris", "--hidden", "30", "--epochs", "60", "--no-plots"]
    options += ["--learning-rate", "0.3", "--lr-schedule", "constant", "--early-stopping", "3"]
    code, out, _ = run(capsys, *options, "--seeds", "6")
    assert code == 0
    assert "means of 6 seeds:" in out
    assert " of 6 seeds:" in out.replace("means of 6 seeds:", "")
    assert "best weights from epochs" in out


def test_the_config_survives_a_disk_that_is_full(capsys, tmp_path, monkeypatch):
    from pathlib import Path

    run(capsys, *OPTIONS, "--seeds", "2", "--out", "many", "--quiet")
    before = (tmp_path / "many/config.toml").read_text()

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = run(capsys, "--resume", "many", "--epochs", "9")
    assert code == 1
    assert "No space left on device" in err
    assert (tmp_path / "many/config.toml").read_text() == before


def test_json_that_can_not_be_written_is_an_error(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    command = [sys.executable, "-m", "xpmlp.train", *OPTIONS, "--json", "--quiet"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "can't write the JSON to stdout" in done.stderr


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("0", "expected a count, as 10, or a list, as 0,3,7, got '0'"),
        ("", "expected a count, as 10, or a list, as 0,3,7, got ''"),
        (",", "expected a count"),
        ("1,x", "expected a count, as 10, or a list, as 0,3,7, got '1,x'"),
        ("+3", "expected a count"),
        ("-3", "expected a count"),
        ("1e3", "expected a count"),
        ("9" * 30, "expected a count"),
        ("1000000", "1000000 seeds are too many; the most are 10,000"),
        ("4,4", "seeds is (4, 4); it must be different from each other"),
    ],
)
def test_seeds_that_make_no_sense(capsys, seeds, message):
    code, out, err = run(capsys, *OPTIONS, f"--seeds={seeds}")
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("value", "message"),
    [("0", "0 seeds can't be"), ("-1", "-1 seeds can't be"), ("10000000000", "seeds can't be")],
)
def test_seeds_in_a_file_that_make_no_sense(capsys, tmp_path, value, message):
    (tmp_path / "c.toml").write_text(f"seeds = {value}\n")
    code, _, err = run(capsys, *OPTIONS, "--config", "c.toml")
    assert code == 2
    assert f"{message}; give a count from 1 to 10,000" in err or message in err


def test_a_seed_beside_seeds_is_refused(capsys):
    code, _, err = run(capsys, *OPTIONS, "--seeds", "3", "--seed", "7")
    assert code == 2
    assert "seed 7 and seeds can't both be given" in err


def test_an_older_run_of_a_table_goes_on_without_what_it_did_not_have(capsys, tmp_path):
    """It was written when an option that was not there was off, also for tables."""
    (tmp_path / "t.csv").write_text("".join(f"{i}.5,{i * i % 7},{i % 2}\n" for i in range(60)))
    options = ["--dataset", "t.csv", "--hidden", "3", "--seeds", "2", "--no-plots", "--quiet"]
    options += ["--early-stopping", "0", "--dropout", "0", "--out", "old"]
    assert run(capsys, *options, "--epochs", "2")[0] == 0
    config = tmp_path / "old/config.toml"
    lines = config.read_text().replace("dropout = [\n    0.0,\n]\n", "").splitlines()
    config.write_text("\n".join(line for line in lines if "early_stopping" not in line) + "\n")
    assert run(capsys, "--resume", "old", "--epochs", "3", "--no-plots", "--quiet")[0] == 0
    assert Config.load(config).early_stopping == 0
    assert Config.load(config).dropout == (0.0,)
