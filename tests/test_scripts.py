"""The scripts a newcomer runs, over a stand-in for Python that only notes what it is asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
TOOLS = ("sh", "dirname", "basename", "rm", "cp", "cat", "mkdir", "chmod", "touch")
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> "{log}"
case "$1 $2" in
    "--version "*) echo "Python {version}" ;;
    "-c "*find_spec*) echo "{lacks}" ;;
    "-c "*) exit {too_old} ;;
    "-m venv") [ {venv} = 0 ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ; exit {venv} ;;
    "-m pip") [ "$3" = --version ] || exit {pip} ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX shells")


@pytest.fixture
def newcomer(tmp_path):
    """A clone and a PATH with nothing but a shell's tools; returns how to run a script there."""
    clone, tools = tmp_path / "clone", tmp_path / "bin"
    shutil.copytree(SCRIPTS, clone / "scripts")
    (clone / "pyproject.toml").write_text("[project]\n")
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))

    def run(
        script,
        *arguments,
        version="3.12.1",
        too_old=0,
        venv=0,
        pip=0,
        python="python3",
        lacks="",
        **variables,
    ):
        log = tmp_path / "log"
        log.write_text("")
        values = {"log": log, "version": version, "too_old": too_old, "venv": venv, "pip": pip}
        values["lacks"] = lacks
        if python:
            (tools / python).write_text(FAKE_PYTHON.format(**values))
            (tools / python).chmod(0o755)
        made = clone / ".venv/bin/python"
        if made.exists():
            made.write_text(FAKE_PYTHON.format(**values))
        result = subprocess.run(
            [str(clone / "scripts" / script), *arguments],
            env={"PATH": str(tools), "HOME": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return result, log.read_text().splitlines()

    return run


def test_the_first_time_installs_and_the_second_only_runs(newcomer):
    result, calls = newcomer("train", "--epochs", "3")
    assert result.returncode == 0, result.stderr
    assert any(call.startswith("-m venv") for call in calls)
    assert any("pip install" in call and call.endswith("--editable .") for call in calls)
    assert calls[-1] == "-m xpmlp.train --epochs 3"
    assert "making" in result.stderr
    assert "installing xpmlp" in result.stderr
    result, calls = newcomer("train", "--json")
    assert calls == ["-m xpmlp.train --json"]
    assert result.stderr == ""


def test_the_tests_bring_their_own_extra(newcomer):
    newcomer("train")
    result, calls = newcomer("test", "-k", "golden")
    assert result.returncode == 0, result.stderr
    assert any(call.endswith("--editable .[test]") for call in calls)
    assert not any("venv" in call for call in calls)
    assert calls[-1].startswith("-m pytest --numprocesses auto ")
    assert calls[-1].endswith(" -k golden")


def test_a_python_that_is_too_old(newcomer):
    result, _ = newcomer("train", version="3.8.1", too_old=1)
    assert result.returncode == 2
    assert "train: needs Python 3.11 or newer, found Python 3.8.1; install it from" in result.stderr


def test_no_python_at_all(newcomer):
    result, _ = newcomer("test", python=None)
    assert result.returncode == 2
    assert "test: needs Python 3.11 or newer, found no Python" in result.stderr


def test_another_name_for_python(newcomer):
    assert newcomer("train", python="python3.13")[0].returncode == 0


def test_a_python_without_venv(newcomer):
    result, _ = newcomer("train", venv=1)
    assert result.returncode == 2
    assert "can't make virtual environments; on Debian or Ubuntu install python3-venv" in (
        result.stderr
    )


def test_no_network_and_then_one(newcomer):
    result, _ = newcomer("train", pip=1)
    assert result.returncode == 2
    assert "the installation failed; is there a network?" in result.stderr
    result, calls = newcomer("train")
    assert result.returncode == 0
    assert calls[-1] == "-m xpmlp.train"


def test_a_foreign_environment_is_left_alone(newcomer, tmp_path):
    theirs = tmp_path / "clone/.venv/precious"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    result, _ = newcomer("train")
    assert result.returncode == 2
    assert "was not made by this script and has no pip; move it away" in result.stderr
    assert theirs.read_text() == "mine"


def test_a_clone_that_moved_is_installed_anew(newcomer, tmp_path):
    newcomer("train")
    stamp = tmp_path / "clone/.venv/.xpmlp-base"
    stamp.write_text(stamp.read_text().replace("clone", "elsewhere"))
    _, calls = newcomer("train")
    assert any("pip install" in call for call in calls)
    assert not any("venv" in call for call in calls)


def test_a_gpu_is_checked_by_a_python_that_has_everything(newcomer):
    """Where nothing can be installed, nothing is."""
    result, calls = newcomer("gpu-check", "--parts", "tests", venv=1, pip=1)
    assert (result.returncode, result.stderr) == (0, "")
    assert calls[-1] == "-m bench.gpu --parts tests"
    assert not any(call.startswith(("-m venv", "-m pip")) for call in calls)


def test_a_gpu_is_checked_by_the_python_that_is_named(newcomer):
    """Whatever it lacks, which is said."""
    result, calls = newcomer("gpu-check", lacks="tqdm", python="python9", PYTHON="python9")
    assert (result.returncode, result.stderr) == (0, "gpu-check: python9 lacks: tqdm\n")
    assert calls[-1] == "-m bench.gpu"
    assert not any("pip" in call for call in calls)


def test_the_python_that_is_named_may_be_named_from_here(newcomer, tmp_path):
    named = "bin/python9"
    result, calls = newcomer("gpu-check", python="python9", PYTHON=named)
    assert (result.returncode, calls[-1]) == (0, "-m bench.gpu")
    result, _ = newcomer("gpu-check", PYTHON="bin/python10")
    assert result.returncode == 2
    assert f"PYTHON={tmp_path}/bin/python10 is no Python 3.11 or newer" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_gpu_is_checked_by_a_new_environment_else(newcomer):
    result, calls = newcomer("gpu-check", "--quick", lacks="tqdm, one of cupy, torch and jax")
    assert result.returncode == 0, result.stderr
    assert "gpu-check: python3 lacks: tqdm, one of cupy, torch and jax\n" in result.stderr
    assert any(call.endswith("--editable .[test]") for call in calls)
    assert calls[-1] == "-m bench.gpu --quick"


@pytest.mark.parametrize("trouble", [{"venv": 1}, {"pip": 1}], ids=["no venv", "no network"])
def test_where_nothing_can_be_installed_the_last_line_says_what_is_missing(newcomer, trouble):
    result, calls = newcomer("gpu-check", lacks="tomli_w, tqdm", **trouble)
    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert "no Python here has all that is needed; python3 lacks: tomli_w, tqdm. Install" in last
    assert "PYTHON=/path/to/python" in last
    assert not any("bench.gpu" in call for call in calls)


def test_a_python_says_what_it_lacks_itself(tmp_path):
    """The check that the stand-in for Python above only pretends."""
    script = (SCRIPTS / "gpu-check").read_text()
    code = script.partition("-c '")[2].partition("'")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, "numpy", "no_such_module"], capture_output=True, text=True
    )
    assert done.stdout.startswith("no_such_module")
    assert "numpy" not in done.stdout


def test_lost_results_are_looked_for_by_the_environment_that_trains(newcomer):
    newcomer("train")
    _, calls = newcomer("torture", "--quick")
    assert calls == ["-m tests.torture --quick"]


def test_the_scripts_are_executable():
    for name in ("train", "test", "gpu-check", "torture"):
        assert os.access(SCRIPTS / name, os.X_OK)
