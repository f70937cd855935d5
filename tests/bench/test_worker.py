import io
import os
import pickle
import signal
from contextlib import closing

import numpy as np
import pytest

from bench import processes
from bench.processes import RowFailed, RowUnavailable, Setup, Worker
from bench.worker import Session, serve
from tests.bench import fakes as table


@pytest.fixture
def worker(fakes):
    with closing(Worker(Setup(1))) as started:
        yield started


def answers(*commands):
    """What a session in this process answers."""
    sent, replies = io.BytesIO(), io.BytesIO()
    for command in commands:
        pickle.dump(command, sent)
    sent.seek(0)
    serve(Session("tests.bench.fakes"), sent, replies)
    replies.seek(0)
    return [pickle.load(replies) for _ in commands]


def test_a_contender_is_prepared_trained_and_asked(problem, case):
    prepared, first, weights, memory, about = answers(
        ("prepare", "xpmlp fake", "cpu", case, problem),
        ("epoch", 0),
        ("weights",),
        ("memory",),
        ("describe",),
    )
    assert (prepared[0], first[0]) == ("done", "done")
    assert prepared[1] >= 0
    assert first[1] >= 0
    assert [W.shape for W, _ in weights[1]] == [(784, 5), (5, 3), (3, 10)]
    assert memory == ("done", 2**20)
    assert (about[1]["device_name"], about[1]["epochs"]) == ("a cpu", "1")


def test_pools_of_threads_are_told_without_their_folders(problem, case):
    *_, (_, about) = answers(("prepare", "peer", "cpu", case, problem), ("describe",))
    pools = about["thread_pools"]
    assert any(pool["library"] == "openblas" and pool["kernel"] for pool in pools)
    assert not any(os.sep in pool["file"] for pool in pools)


def test_trouble_is_an_answer_in_one_line(problem, case):
    epochs = [("epoch", i) for i in range(4)]
    *_, broken, after = answers(("prepare", "breaks", "cpu", case, problem), *epochs)
    assert broken == ("failed", "ValueError: a bad epoch")
    assert after[0] == "done"
    (refused,) = answers(("prepare", "absent", "cpu", case, problem))
    assert refused == ("unavailable", "no such library; install it")


def test_a_process_answers_whatever_its_library_prints(worker, problem, case):
    worker.ask("prepare", "peer", "cpu", case, problem)
    assert worker.ask("epoch", 0) >= 0
    weights = worker.ask("weights")
    for (W, b), layer in zip(weights, problem.initial, strict=True):
        np.testing.assert_array_equal(W, layer.W)
        np.testing.assert_array_equal(b, layer.b)


def test_a_process_gets_its_threads_and_survives_ctrl_c(worker, problem, case):
    worker.ask("prepare", "xpmlp fake", "cpu", case, problem)
    worker.process.send_signal(signal.SIGINT)
    about = worker.ask("describe")
    assert about["threads"] == "1"
    assert {pool["threads"] for pool in about["thread_pools"]} == {1}


def test_tf32_is_off_but_for_a_row_of_tf32(fakes, monkeypatch, problem, case):
    monkeypatch.setenv(processes.NO_TF32, "1")
    said = {}
    for name in ("peer full", "peer tf32"):
        with closing(Worker(Setup(1), processes.precision_of(name))) as started:
            started.ask("prepare", name, "cpu", case, problem)
            said[name] = started.ask("describe")["tf32"]
    assert said == {"peer full": "0", "peer tf32": "as found"}


def test_refusals_and_failures_are_told_apart(worker, problem, case):
    with pytest.raises(RowUnavailable, match="^no such library; install it$"):
        worker.ask("prepare", "absent", "cpu", case, problem)
    with pytest.raises(RowFailed, match="^KeyError: 'nobody'$"):
        worker.ask("prepare", "nobody", "cpu", case, problem)


def test_a_process_that_dies_leaves_its_last_words(worker, problem, case):
    worker.ask("prepare", "dies", "cpu", case, problem)
    for number in range(table.TROUBLE - 1):
        worker.ask("epoch", number)
    dead = f"^the process ended with exit code 7: {table.LAST_WORDS}$"
    with pytest.raises(RowFailed, match=dead):
        worker.ask("epoch", table.TROUBLE)
    with pytest.raises(RowFailed, match=dead):
        worker.ask("epoch", table.TROUBLE)


def test_a_process_that_is_killed_says_so(worker, problem, case):
    worker.ask("prepare", "peer", "cpu", case, problem)
    worker.process.kill()
    with pytest.raises(RowFailed, match="killed by signal 9: "):
        worker.ask("epoch", 0)


def test_closing_ends_the_process_and_may_be_repeated(fakes):
    worker = Worker(Setup(1))
    worker.close()
    worker.close()
    assert worker.process.returncode == -signal.SIGKILL


def test_the_environment_is_that_of_the_command_with_what_all_rows_share(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv(processes.KERNELS, "Haswell")
    found = Setup(2).environment()
    assert {found[name] for name in processes.THREAD_VARIABLES} == {"2"}
    assert found[processes.KERNELS] == "Haswell"
    assert Setup(2, "SkylakeX").environment()[processes.KERNELS] == "SkylakeX"
    assert (Setup(2).label, Setup(2, "SkylakeX").label) == ("as found", "SkylakeX")
    monkeypatch.delenv(processes.KERNELS)
    assert processes.KERNELS not in Setup(2).environment()
