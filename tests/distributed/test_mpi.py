"""Real jobs of `mpiexec`: they train what one process trains, and end when one of them does."""

import os
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.commands import run
from tests.distributed.jobs import TRAIN, WHY_NOT, ended, processes_in, started
from xpmlp.training.checkpoint import Checkpoint

pytestmark = [pytest.mark.thorough, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
NET = ["--dataset", "iris", "--hidden", "7", "--epochs", "3", "--batch-size", "16"]
NET += ["--dtype", "float64", "--device", "cpu", "--dropout", "0.2", "--clip-norm", "0.5"]
WAITING = """
import sys, time
import numpy as np
from xpmlp.distributed.mpi import MpiRanks
ranks = MpiRanks(1.0)
if ranks.rank == 1:
    {task}
total = np.full(2, 3.0)
ranks.all_sum(total)
assert total.tolist() == [3.0 * ranks.size] * 2
assert ranks.broadcast(f"from {{ranks.rank}}") == "from 0"
ranks.end(0, "")
"""


def distance(one, other):
    mine, its = (load_file(path / "model.safetensors") for path in (one, other))
    return max(np.abs(mine[name] - its[name]).max() for name in its)


def test_two_ranks_train_what_one_process_trains_and_three_go_on(tmp_path, capsys):
    alone, ranks = tmp_path / "alone", tmp_path / "ranks"
    options = ["--lr-schedule", "constant", "--no-plots"]
    longer = [*NET, "--epochs", "4", *options, "--compile", "never"]
    assert run(capsys, *longer, "--out", alone)[0] == 0
    code, out, errors = ended(2, *TRAIN, *NET, *options, "--out", ranks)
    assert (code, errors) == (0, "")
    assert out.count("results in") == 1
    assert "2 ranks: a step is" in out
    assert len(processes_in(out)) == 2
    code, _, errors = ended(3, *TRAIN, "--resume", ranks, "--epochs", "4", "--no-plots")
    assert (code, errors) == (0, "")
    assert distance(ranks, alone) < 1e-10


def test_a_program_of_jax_that_calls_back(tmp_path, capsys):
    pytest.importorskip("jax", reason="jax is not installed")
    options = ["--record", "loss", "--no-plots"]
    assert run(capsys, *NET, *options, "--out", tmp_path / "alone")[0] == 0
    options += ["--backend", "jax", "--out", tmp_path / "ranks"]
    code, _, errors = ended(2, *TRAIN, *NET, *options)
    assert (code, errors) == (0, "")
    assert distance(tmp_path / "ranks", tmp_path / "alone") < 1e-10


def test_bad_input_is_said_once():
    code, out, errors = ended(2, *TRAIN, *NET, "--optimizer", "adamm")
    assert (code, out) == (2, "")
    assert errors.count("unknown optimizer 'adamm'") == 1
    assert len(errors.splitlines()) == 1


def test_processes_that_know_nothing_of_each_other_are_refused():
    code, out, errors = ended(2, *TRAIN, *NET, starter=())
    assert (code, out) == (2, "")
    assert "start them as mpiexec -n 2 python -m mpi4py -m xpmlp.train" in errors
    assert len(errors.splitlines()) == 1


def in_training(tmp_path):
    """Return a job of three ranks in the middle of its epochs, and their processes."""
    long = ["--epochs", "100000", "--out", tmp_path / "run", "--no-plots"]
    job, header = started(3, *TRAIN, *NET, *long), ""
    while "epoch " not in header:
        assert job.poll() is None, job.stderr.read()
        header += job.stdout.readline()
    return job, processes_in(header)


def test_a_rank_that_is_killed_is_named_and_ends_the_job(tmp_path):
    job, processes = in_training(tmp_path)
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        time.sleep(0.01)
    os.kill(processes[1], signal.SIGKILL)
    _, errors = job.communicate(timeout=60)
    assert job.returncode != 0
    assert f"rank 1 (process {processes[1]} on " in errors
    assert errors.count("died; the job ends") == 1
    assert Checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").epochs


def test_ctrl_c_of_one_rank_stops_all_after_the_same_epoch(tmp_path):
    job, processes = in_training(tmp_path)
    os.kill(processes[2], signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 130
    assert "interrupted and saved; go on with --resume" in errors


def test_a_rank_that_hangs_is_named():
    code, _, errors = ended(2, "-c", WAITING.format(task="while True: pass"))
    assert code == 1
    assert "rank 1 (process " in errors
    assert "has not answered for 1 s: stopped, hanging or lost" in errors
    assert errors.count("--resume goes on") == 1


def test_a_rank_that_is_late_is_waited_for():
    code, _, errors = ended(3, "-c", WAITING.format(task="time.sleep(2.5)"))
    assert (code, errors) == (0, "")


def test_what_one_rank_alone_fails_of_is_told():
    code, _, errors = ended(2, "-c", FAILING)
    assert code == 1
    assert "rank 1 (process " in errors
    assert "failed: test: the disk of this machine is full" in errors


FAILING = """
import numpy as np
from xpmlp.commands import guarded, run_as_program
from xpmlp.distributed.starting import in_ranks
from xpmlp.errors import RunError
def work(ranks):
    if ranks.rank == 1:
        raise RunError("the disk of this machine is full")
    ranks.all_sum(np.ones(1))
run_as_program(lambda argv: in_ranks("test", lambda ranks: guarded("test", lambda: work(ranks))))
"""
