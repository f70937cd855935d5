"""`xpmlp train --seeds`: many nets in one command, each as if it were alone."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.test_commands import run
from xpmlp.training.checkpoint import Checkpoint
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
    assert "means of 3:" in out
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

    def seed_1_explodes(self, epoch, losses):
        refuse(self, epoch, [np.nan] if (self.config.seed, epoch) == (1, 2) else losses)

    monkeypatch.setattr(Trainer, "_refuse_divergence", seed_1_explodes)
    code, out, err = run(capsys, *OPTIONS, "--seeds", "3", "--out", "many")
    assert code == 1
    assert err.startswith("xpmlp train: seed 1: the loss became nan at step 1 of epoch 3")
    assert "over 2 seeds" in out
    assert "seed 1 failed: the loss became nan" in out
    figures = summary(tmp_path / "many")
    assert list(figures["failed_seeds"]) == ["1"]
    assert [member["epochs"] for member in figures["members"]] == [4, 2, 4]
    known = [figures["members"][i]["test_loss"] for i in (0, 2)]
    assert figures["test_loss"]["mean"] == pytest.approx(np.mean(known))
    assert len(Checkpoint.load(tmp_path / "many/seed-1/checkpoint.safetensors").epochs) == 2


def test_resuming_many_seeds_goes_on_to_the_same_end(capsys, tmp_path):
    long = [*OPTIONS, "--lr-schedule", "constant", "--seeds", "3"]
    run(capsys, *long, "--out", "whole", "--quiet")
    run(capsys, *long, "--epochs", "2", "--out", "many", "--quiet")
    (tmp_path / "many/seed-2/checkpoint.safetensors").unlink()  # as if killed before its first
    code, _, err = run(capsys, "--resume", "many", "--epochs", "4", "--no-plots")
    assert (code, err) == (0, "")
    for seed in range(3):
        one, two = (
            Model.load(tmp_path / f"{name}/seed-{seed}/model.safetensors").params
            for name in ("many", "whole")
        )
        np.testing.assert_allclose(one[0].W, two[0].W, rtol=1e-11)
    assert "epochs = 4" in (tmp_path / "many/config.toml").read_text()
    assert summary(tmp_path / "many")["epochs"] == 4
    code, _, err = run(capsys, "--resume", "many")
    assert code == 2
    assert "many has done 4 of 4 epochs" in err


def test_a_seed_of_many_can_be_resumed_alone(capsys, tmp_path):
    run(capsys, *OPTIONS, "--seeds", "2", "--out", "many", "--quiet")
    code, out, _ = run(capsys, "--resume", "many/seed-1", "--epochs", "6", "--json", "--no-plots")
    assert (code, json.loads(out)["epochs"]) == (0, 6)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_ctrl_c_saves_every_seed(capsys, tmp_path):
    options = ["--dataset", "iris", "--hidden", "20", "--batch-size", "4", "--epochs", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "xpmlp.train", *options, "--seeds", "3", "--out", "many"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    while "epoch " not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted and saved; go on with --resume many" in err
    done = {
        len(Checkpoint.load(tmp_path / f"many/seed-{s}/checkpoint.safetensors").epochs)
        for s in range(3)
    }
    assert done == {summary(tmp_path / "many")["epochs"]}
    more = ["--resume", "many", "--epochs", done.pop() + 2, "--no-plots", "--quiet"]
    assert run(capsys, *more)[0] == 0


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("0", "argument --seeds: invalid"),
        ("1,x", "argument --seeds: invalid"),
        ("4,4", "seeds is (4, 4); it must be different from each other"),
        ("-3", "seeds is (-3,); it must be 0 or more"),
    ],
)
def test_seeds_that_make_no_sense(capsys, seeds, message):
    code, out, err = run(capsys, *OPTIONS, f"--seeds={seeds}")
    assert (code, out) == (2, "")
    assert message in err
