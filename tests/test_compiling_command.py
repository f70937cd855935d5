"""`xpmlp train --compile` and `--threads`: what is said and written, and how a run goes on."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.commands import run
from tests.conftest import load_or_skip
from xpmlp.backends.numpy import compiled
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.training import compiling
from xpmlp.training.checkpoint import FORMAT, Checkpoint
from xpmlp.training.tensors import read_tensors, write_tensors

QUICK = ["--dataset", "iris", "--hidden", "6", "--lr-schedule", "constant", "--no-plots"]
NONE = "there is no C compiler (cc, gcc) on the PATH"
DECIDED = ("compile", "threads", "tiles")


@pytest.fixture(autouse=True)
def any_work_pays(tmp_path, monkeypatch):
    """A machine of three processors, on which `auto` compiles the least net."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if reason := load_or_skip("numpy").why_not_compiled():
        pytest.skip(reason)
    monkeypatch.setattr(compiling, "LEAST_WORK", 0)
    monkeypatch.setattr(compiling, "usual_threads", lambda: 3)
    have_processors(monkeypatch, 3)


def have_processors(monkeypatch, count):
    for module in (compiling, compiled):
        monkeypatch.setattr(module, "usable_processors", lambda: count)


def lack_a_compiler(monkeypatch):
    monkeypatch.setattr(NumpyBackend, "why_not_compiled", lambda backend: NONE)


def decided(folder):
    """Return what config.toml says, which the checkpoint says too."""
    config = tomllib.loads(Path(folder, "config.toml").read_text())
    saved = Checkpoint.load(Path(folder, "checkpoint.safetensors")).config.given()
    for name in DECIDED:
        assert saved.get(name) == config.get(name)
    return tuple(config.get(name) for name in DECIDED)


def summary(folder):
    return json.loads(Path(folder, "summary.json").read_text())


def model(folder):
    return Path(folder, "model.safetensors").read_bytes()


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]], ids=["one net", "seeds"])
def test_half_and_half_is_the_whole_to_the_bit_with_fewer_processors_too(
    capsys, monkeypatch, seeds
):
    code, out, _ = run(capsys, *QUICK, *seeds, "--epochs", "4", "--out", "whole")
    machine = next(line for line in out.splitlines() if line.startswith("machine"))
    assert code == 0
    assert machine.endswith("compiled for the processor, 3 threads")
    assert machine.count("thread") == 1
    run(capsys, *QUICK, *seeds, "--epochs", "2", "--out", "parts", "--quiet")
    have_processors(monkeypatch, 1)
    monkeypatch.setattr(compiling, "usual_threads", lambda: 1)
    code, out, err = run(capsys, "--resume", "parts", "--epochs", "4", "--no-plots")
    assert (code, err) == (0, "")
    assert "compiled for the processor, 1 of 3 threads for want of processors\n" in out
    for seed in ("seed-0", "seed-1") if seeds else ("",):
        assert model(f"whole/{seed}") == model(f"parts/{seed}")
        assert decided(f"parts/{seed}") == ("always", 3, 3)
    figures = summary("whole")
    assert {name: figures[name] for name in ("compile", "compile_requested", "threads")} == {
        "compile": "always",
        "compile_requested": "auto",
        "threads": 3,
    }
    assert figures["compile_reason"] is None
    assert figures["steps"] == "compiled for the processor, 3 threads"


def test_other_threads_compute_the_same_tiles(capsys):
    run(capsys, *QUICK, "--epochs", "4", "--out", "whole", "--quiet")
    run(capsys, *QUICK, "--epochs", "2", "--out", "parts", "--quiet")
    run(capsys, "--resume", "parts", "--epochs", "4", "--threads", "2", "--no-plots")
    assert decided("parts") == ("always", 2, 3)
    assert model("whole") == model("parts")
    run(capsys, "--config", "parts/config.toml", "--threads", "1", "--out", "again", "--no-plots")
    assert decided("again") == ("always", 1, 3)
    assert model("whole") == model("again")


def test_without_a_compiler_a_line_says_why_numpy_replays(capsys, monkeypatch):
    lack_a_compiler(monkeypatch)
    code, out, err = run(capsys, *QUICK, "--epochs", "1", "--out", "one")
    assert (code, err) == (0, "")
    assert out.splitlines()[4] == f"          not compiled: {NONE}; NumPy replays the steps"
    assert decided("one") == ("never", None, None)
    assert summary("one")["compile_reason"] == NONE
    monkeypatch.setattr(compiling, "LEAST_WORK", 10**8)
    _, out, _ = run(capsys, *QUICK, "--epochs", "1", "--out", "small")
    assert "not compiled" not in out
    assert summary("small")["compile_reason"].startswith("an epoch has 12,474 multiplications, and")
    code, out, err = run(capsys, *QUICK, "--compile", "always", "--out", "no")
    assert (code, out) == (2, "")
    assert err == (
        f"xpmlp train: compile is always, but {NONE}; choose --compile auto or never, which do "
        "without\n"
    )


def test_a_compiled_run_goes_on_without_a_compiler_where_that_is_asked_for(capsys, monkeypatch):
    run(capsys, *QUICK, "--epochs", "1", "--out", "one", "--quiet")
    lack_a_compiler(monkeypatch)
    more = ["--resume", "one", "--epochs", "2", "--no-plots", "--quiet"]
    code, _, err = run(capsys, *more)
    assert code == 2
    assert err == (
        f"xpmlp train: the steps of one were compiled, but {NONE}; --resume one --compile never "
        "goes on without, equal up to rounding\n"
    )
    code, _, err = run(capsys, *more, "--compile", "never")
    assert code == 0
    assert err.startswith("note: from here on the steps are not compiled, other than before, so")
    assert decided("one") == ("never", None, None)


def test_a_run_goes_on_compiled_only_where_that_is_asked_for(capsys):
    run(capsys, *QUICK, "--epochs", "1", "--out", "one", "--quiet", "--compile", "never")
    code, _, err = run(
        capsys, "--resume", "one", "--epochs", "2", "--compile", "auto", "--no-plots"
    )
    assert (code, err, decided("one")) == (0, "", ("never", None, None))
    more = ["--epochs", "3", "--compile", "always", "--no-plots"]
    code, _, err = run(capsys, "--resume", "one", *more)
    assert code == 0
    assert err.startswith("note: from here on the steps are compiled, other than before, so")
    assert decided("one") == ("always", 3, 3)


def test_a_compiled_run_goes_on_with_a_library_that_has_ways_of_its_own(capsys):
    run(capsys, *QUICK, "--epochs", "1", "--out", "one", "--quiet")
    code, _, err = run(
        capsys, "--resume", "one", "--epochs", "2", "--backend", "array-api-strict", "--no-plots"
    )
    assert (code, err, decided("one")) == (0, "", ("never", None, None))


def test_the_config_of_a_compiled_run_serves_other_libraries_too(capsys):
    run(capsys, *QUICK, "--epochs", "1", "--out", "one", "--quiet")
    config = ["--config", "one/config.toml", "--no-plots"]
    code, _, err = run(capsys, *config, "--backend", "array-api-strict", "--out", "two")
    assert (code, err, decided("two")) == (0, "", ("never", None, None))
    code, _, err = run(capsys, *config, "--backend", "array-api-strict", "--compile", "always")
    assert code == 2
    assert (
        "one/config.toml: compile always is of numpy on a CPU, and backend is array-api-strict"
        in err
    )


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]], ids=["one net", "seeds"])
def test_a_run_of_an_older_xpmlp_goes_on_as_it_was(capsys, seeds):
    options = [*QUICK, *seeds, "--compile", "never", "--quiet"]
    run(capsys, *options, "--epochs", "3", "--out", "whole")
    run(capsys, *options, "--epochs", "1", "--out", "old")
    for file in Path("old").rglob("config.toml"):
        file.write_text(file.read_text().replace('compile = "never"\n', ""))
    for file in Path("old").rglob("checkpoint.safetensors"):
        Checkpoint.load(file).save(file)
        tensors, about = read_tensors(file, FORMAT, lambda *parts: parts)
        del about["config"]["compile"]
        write_tensors(file, tensors, FORMAT, about)
    code, _, err = run(capsys, "--resume", "old", "--epochs", "3", "--no-plots", "--quiet")
    assert (code, err) == (0, "")
    for file in Path("old").rglob("model.safetensors"):
        assert file.read_bytes() == (Path("whole") / file.relative_to("old")).read_bytes()


def test_threads_without_compiled_steps_are_those_of_blas(capsys):
    options = [*QUICK, "--compile", "never", "--threads", "1", "--epochs", "1", "--out", "one"]
    _, out, _ = run(capsys, *options)
    assert out.splitlines()[3].endswith(", 1 thread")
    assert decided("one") == ("never", 1, None)
    assert summary("one")["threads"] == 1
