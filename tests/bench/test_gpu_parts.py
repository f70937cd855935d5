"""The parts of a check where there is no GPU: each says so in its own way, and none hangs."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bench.cases import CASES
from bench.gpu import hardware as gpu_hardware
from bench.gpu import parts as gpu_parts
from bench.gpu.outcomes import CRASHED, read_outcomes
from bench.gpu.page import page, table
from bench.gpu.parts import FAILED, OK, STOPPED, Outcome, Task, brief
from bench.gpu.profile import kernels_of
from bench.gpu.runner import Ended, Runner
from bench.processes import ROOT
from bench.results import RESULTS, save
from tests.bench import figures as made
from tests.bench.test_gpu_check import HARDWARE
from xpmlp.backends.cuda_driver import query_driver


class Scripted:
    """A runner that starts nothing: it notes the programs, and does what a test says."""

    def __init__(self, do, folder):
        self.do, self.log = do, folder / "check.log"
        self.stop = SimpleNamespace(requested=False)
        self.programs, self.limits, self.variables = [], [], {}

    def run(self, programs, limit, variables=None):
        self.programs += programs
        self.limits.append(limit)
        self.variables |= variables or {}
        return [self.do([str(word) for word in words]) for words in programs]


def task(do, folder, quick=False):
    return Task(Scripted(do, folder), 90.0, folder, quick)


def after(words, flag):
    return words[words.index(flag) + 1]


def test_the_tests_of_each_library_are_counted_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")

    def pytest_of(words):
        lines = [{"test": "a", "outcome": "passed", "reason": ""}]
        broken = after(words, "-k") == "torch"
        if broken:
            lines += [{"test": "b", "outcome": "failed", "reason": "assert 1 == 2"}]
        with open(after(words, "--outcomes"), "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return Ended(int(broken), False, 1.0, "")

    asked = task(pytest_of, tmp_path)
    outcome = gpu_parts.tests(asked)
    assert (outcome.status, outcome.reason) == (FAILED, "1 of torch")
    assert list(outcome.figures) == ["cupy", "torch", "jax", "commands"]
    assert outcome.figures["torch"]["bad"] == {"b": "assert 1 == 2"}
    assert outcome.figures["jax"]["counts"]["passed"] == 1
    assert len(asked.runner.limits) == 4  # one after the other
    assert all(after(words, "-m") == "pytest" for words in asked.runner.programs)
    words = asked.runner.programs[0]
    assert words.index("tests/cuda") == words.index("tests") - 1
    assert asked.runner.variables == {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=false --xla_gpu_autotune_level=0",
    }


def test_the_tests_of_a_gpu_alone_come_first():
    """And are not collected once more with all the others."""
    words = gpu_parts._pytest("not jax", gpu_parts.Path(os.devnull), False)
    done = subprocess.run(
        [*words, "--collect-only"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [line for line in done.stdout.splitlines() if "::" in line]
    own = [line.startswith("tests/cuda/") for line in found]
    assert any(own)
    assert own == sorted(own, reverse=True)
    assert len(set(found)) == len(found)


def test_xla_knows_the_flag_of_the_tests():
    """It ends a process that names a flag it does not know."""
    pytest.importorskip("jax")
    code = "import jax; print(jax.jit(lambda x: x + 1)(1))"
    variables = {**os.environ, "XLA_FLAGS": gpu_parts.NO_AUTOTUNING, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_tests_that_were_cut_short_have_not_failed(tmp_path):
    def pytest_of(words):
        with open(after(words, "--outcomes"), "w") as file:
            file.write(json.dumps({"test": "a", "outcome": CRASHED, "reason": ""}) + "\n")
        return Ended(2, True, 90.0, "")

    outcome = gpu_parts.tests(task(pytest_of, tmp_path))
    assert outcome.status == STOPPED
    assert outcome.figures["cupy"]["counts"][CRASHED] == 1
    assert outcome.figures["cupy"]["bad"] == {}


def test_outcomes_survive_a_crash_and_a_line_cut_short(tmp_path):
    file = tmp_path / "outcomes"
    told = [
        ("a", CRASHED, ""),
        ("a", "passed", ""),
        ("b", CRASHED, ""),
        ("b", "failed", "why"),
        ("b", "failed", "the tear-down too"),
        ("c", CRASHED, ""),
    ]
    lines = [json.dumps(dict(zip(("test", "outcome", "reason"), one, strict=True))) for one in told]
    file.write_text("\n".join([*lines, '{"test": "d", "outc']))
    assert read_outcomes(file) == {
        "counts": {"passed": 1, "failed": 1, "skipped": 0, CRASHED: 1},
        "bad": {"b": "why", "c": CRASHED},
    }
    assert read_outcomes(tmp_path / "none")["bad"] == {}


TESTS = """
import pytest
def test_good(): pass
def test_bad(): assert 1 == 2, "no\\nsuch luck"
def test_left_out(): pytest.skip("no GPU")
@pytest.fixture
def broken(): raise ValueError("set-up")
def test_set_up(broken): pass
"""


def test_the_plugin_writes_as_tests_end(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_other.py").write_text("import no_such_module")
    file = tmp_path / "outcomes"
    options = ("-p", "bench.gpu.outcomes", "--outcomes", str(file), "-p", "no:cacheprovider")
    program = [sys.executable, "-m", "pytest", "--continue-on-collection-errors", *options]
    where = ("--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path))
    done = subprocess.run([*program, *where], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    found = read_outcomes(file)
    assert found["counts"] == {"passed": 1, "failed": 3, "skipped": 1, CRASHED: 0}
    reasons = {test.rpartition("::")[2]: why for test, why in found["bad"].items()}
    other = reasons.pop("test_other.py")
    assert reasons == {"test_bad": "AssertionError: no", "test_set_up": "ValueError: set-up"}
    assert "test_other.py" in other or "no_such_module" in other


def test_a_benchmark_that_was_stopped_keeps_its_cases(tmp_path):
    def stopped(words):
        saved(words, made.run())
        return Ended(130, True, 80.0, "")

    asked = task(stopped, tmp_path)
    outcome = gpu_parts.bench(asked)
    assert outcome.status == STOPPED
    assert outcome.reason == "all rows: stopped after 80 s; variants: stopped after 80 s"
    (case,) = outcome.figures["bench"]["cases"]
    assert case["rows"]["xpmlp numpy"]["median_seconds"] == 2.0
    assert case["rows"]["absent"]["median_seconds"] is None
    assert outcome.figures["bench"]["results"] == f"bench/{RESULTS}"


def saved(words, figures):
    """Save the figures where a benchmark was asked to; the folder's name."""
    folder = gpu_parts.Path(after(words, "--out"))
    folder.mkdir()
    save(figures, folder)
    return folder.name


def test_variants_get_a_short_run_of_their_own(tmp_path):
    def measured(words):
        saved(words, made.run())
        return Ended(0, False, 1.0, "")

    asked = task(measured, tmp_path)
    outcome = gpu_parts.bench(asked)
    assert list(outcome.figures) == ["bench", "bench-variants"]
    everything, variants = asked.runner.programs
    assert "--no-plots" in everything
    assert not {"--variants", "--case"} & set(everything)
    assert {"--no-plots", "--variants"} <= set(variants)
    assert (after(variants, "--case"), after(variants, "--only")) == ("300/128", "xpmlp jax")
    first, second = asked.runner.limits
    assert first == pytest.approx(0.85 * 90)
    assert second == pytest.approx(90, abs=1)


def test_after_a_wish_to_stop_there_are_no_variants(tmp_path):
    def interrupted(words):
        saved(words, made.run())
        asked.runner.stop.requested = True
        return Ended(130, True, 1.0, "")

    asked = task(interrupted, tmp_path)
    assert list(gpu_parts.bench(asked).figures) == ["bench"]
    assert len(asked.runner.programs) == 1


def test_the_variants_that_are_asked_for_exist():
    from bench.choices import chosen_rows

    rows = chosen_rows("cuda", [gpu_parts.VARIANTS_ROWS], ["variants"])
    assert [row.name for row in rows] == ["xpmlp jax", "xpmlp jax unroll 8"]
    assert gpu_parts.VARIANTS_CASE in CASES


def test_a_benchmark_that_wrote_nothing_failed(tmp_path):
    outcome = gpu_parts.tf32(task(lambda words: Ended(1, False, 1.0, "boom"), tmp_path))
    assert outcome.status == FAILED
    assert "results.json" in outcome.reason


@pytest.mark.parametrize(("row", "status"), [("xpmlp numpy", OK), ("absent", FAILED)])
def test_rows_that_could_not_run_are_named(tmp_path, row, status):
    """Where no row could, nothing was measured."""
    rows = [one for one in made.rows() if one.name in (row, "absent")]

    def measured(words):
        saved(words, made.run(made.case(made=rows)))
        return Ended(0, False, 80.0, "")

    outcome = gpu_parts.tf32(task(measured, tmp_path))
    assert (outcome.status, outcome.reason) == (status, "could not run: absent")


def test_trainings_share_their_time_and_say_what_they_did(tmp_path):
    def trained(words):
        folder = gpu_parts.Path(after(words, "--out"))
        if after(words, "--matmul-precision") == "tf32":
            return Ended(1, False, 5.0, "a line\nout of memory")
        folder.mkdir()
        summary = {"dataset": "mnist", "epochs": 10, "test_accuracy": 0.98}
        (folder / "summary.json").write_text(json.dumps(summary))
        (folder / "history.csv").write_text("epoch,seconds\n1,2.0\n2,0.1\n")
        return Ended(0, False, 30.0, "")

    asked = task(trained, tmp_path)
    outcome = gpu_parts.train(asked)
    assert (outcome.status, outcome.reason) == (FAILED, "cupy tf32: exit code 1: out of memory")
    assert asked.runner.limits == [30.0, 30.0, 55.0]
    runs = outcome.figures
    assert list(runs) == ["cupy full", "cupy tf32", "torch full"]
    assert runs["cupy full"]["epoch_seconds"] == [2.0, 0.1]
    assert runs["cupy full"]["test_accuracy"] == 0.98
    assert runs["cupy tf32"]["test_accuracy"] is None
    assert [after(words, "--epochs") for words in asked.runner.programs] == ["10"] * 3


def test_the_profiler_says_why_it_saw_nothing():
    called = []
    figures = kernels_of(lambda: called.append(1))
    assert figures["kernels"] is None
    assert figures["kernels_reason"]


def test_the_page_invents_no_figure():
    run = {"dataset": None, "epochs": None, "epoch_seconds": [], "wall_seconds": 3.0}
    profile = {
        "steps": 469,
        "later_epoch_seconds": [0.2, 0.1, 0.3],
        "first_epoch_extra_seconds": 2.0,
    }
    seen = {"kernel_launches": 938, "kernel_seconds": 0.1, "how": "as written: a | reason"}
    tests = {"cupy": {"counts": {"passed": 3, "failed": 1}, "bad": {"t::a": "x | y\nz"}}}
    parts = [
        ("tests", Outcome(FAILED, "1 of cupy", tests)),
        ("bench", Outcome(OK, "", {"b": {"results": "b/r.json", "cases": brief(made.run())}})),
        ("tf32", Outcome(FAILED, "no results")),
        ("train", Outcome(OK, "", {"cupy full": run})),
        ("profile", Outcome(OK, "", {"cupy": profile | seen, "jax": {}})),
    ]
    listed = [{"name": name, "seconds": 1.0, **vars(outcome)} for name, outcome in parts]
    about = {"started": "2026-01-02T03", "data": "MNIST", "hardware": HARDWARE}
    text = page({**about, "parts": listed})
    assert "| tests | failed: 1 of cupy | 1 | cupy: 3 passed, 1 failed |" in text
    assert "- `t::a`: x / y z" in text
    assert "| 300/128 | 2 | 4 | 3 | 1 | not measured | not measured |" in text
    unknown = "not measured | not measured | not measured | not measured | not measured"
    assert f"| cupy full | {unknown} | 3.0 |" in text
    assert "| bench | ok | 1 | 1 case in b/r.json |" in text
    assert "| tf32 | failed: no results | 1 |  |" in text
    assert "| cupy | 2 | not measured | 2.0 | 50 % | as written: a / reason |" in text
    assert f"| jax | {unknown} |" in text


def test_a_table_is_markdown():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_what_is_not_told_of_the_hardware_is_none(monkeypatch):
    codes = {"known": "print('13.0')", "broken": "raise ValueError", "silent": "pass"}
    monkeypatch.setattr(gpu_hardware, "CUDA_OF", codes)
    hardware = gpu_hardware.describe_hardware()
    assert hardware["cuda_runtimes"] == {"known": "13.0", "broken": None, "silent": None}
    assert hardware["packages"]["numpy"] == hardware["libraries"]["numpy"]
    assert set(HARDWARE) <= set(hardware)


@pytest.mark.skipif(query_driver().gpus > 0, reason="there is a GPU")
def test_without_a_gpu_a_profile_ends_with_the_reason(tmp_path):
    asked = Task(
        Runner(tmp_path / "check.log", SimpleNamespace(requested=False)), 90.0, tmp_path, True
    )
    outcome = gpu_parts.profile(asked)
    assert outcome.status == FAILED
    assert "torch: exit code 1: bench.gpu.profile: backend torch can't run" in outcome.reason
    assert outcome.figures["torch"] == {}
