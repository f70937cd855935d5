"""The command line on a GPU, and where the GPU is hidden."""

import json
import os
import subprocess
import sys

import pytest

from bench.processes import ROOT
from tests.cuda import devices
from xpmlp.backends.cuda_driver import query_driver

pytestmark = pytest.mark.cuda

SHORT = ("--dataset", "digits", "--epochs", "3", "--no-plots")


def train(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "xpmlp.train", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture(autouse=True)
def digits():
    pytest.importorskip("sklearn", reason="scikit-learn, which brings digits, is not installed")


def test_a_short_run_says_where_it_ran(tmp_path):
    done = train(*SHORT, "--device", devices.DEVICE.partition(":")[0], "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "no CUDA" not in done.stderr
    assert f"on {devices.DEVICE} (" in done.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["device"] == devices.DEVICE
    assert summary["fallback_reason"] is None
    assert summary["test_accuracy"] > 0.8


def test_a_gpu_that_is_not_there_is_refused_with_the_count(tmp_path):
    done = train(*SHORT, "--device", "cuda:99", "--no-fallback", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"there is no GPU 99; the driver shows {query_driver().gpus}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_hidden_gpu_is_a_fallback_with_a_notice(tmp_path):
    arguments = (*SHORT, "--device", "cuda", "--out", tmp_path / "run")
    done = train(*arguments, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert "warning: no CUDA: " in done.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["device"] == "cpu"


def test_a_hidden_gpu_without_fallback_is_an_error(tmp_path):
    arguments = (*SHORT, "--device", "cuda", "--no-fallback", "--out", tmp_path / "run")
    done = train(*arguments, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
