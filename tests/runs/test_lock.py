"""One run at a time in a folder, and after a kill the next one."""

import errno
import os
import subprocess
import sys

import pytest

from tests.commands import QUICK, run
from xpmlp.runs import lock as locks
from xpmlp.runs.directory import lock_run
from xpmlp.runs.lock import LOCK, FolderInUseError, FolderLock

pytestmark = pytest.mark.usefixtures("away_without_gpu")
HOLDER = """
import sys
from pathlib import Path
from xpmlp.runs.lock import FolderLock

lock = FolderLock()
lock.take(Path("one"))
print("taken", flush=True)
sys.stdin.read()
"""
RESUME = ["--resume", "one", "--epochs", "4", "--no-plots", "--quiet"]
IN_USE = "is in use by another run; wait until that has ended, or choose another folder\n"


@pytest.fixture
def one(capsys, tmp_path):
    """A run of three epochs."""
    assert run(capsys, *QUICK, "--quiet", "--out", "one")[0] == 0
    return tmp_path / "one"


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_in_use_is_refused_until_its_process_is_killed(capsys, one):
    before = contents(one)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "taken\n"
    for command in (RESUME, [*QUICK, "--quiet", "--out", "one"]):
        code, out, err = run(capsys, *command)
        assert (code, out) == (2, "")
        assert err.endswith(f"xpmlp train: one {IN_USE}")
    assert contents(one) == before | {one / LOCK: b""}
    holder.kill()
    holder.communicate(timeout=60)
    assert (one / LOCK).exists()
    assert run(capsys, *RESUME)[0] == 0
    assert not (one / LOCK).exists()


def test_a_second_run_is_refused_while_the_first_trains(capsys, one, monkeypatch):
    """The first goes on untouched."""
    from xpmlp import train

    epochs, second = train._run_epochs, []

    def meanwhile(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr("xpmlp.train._run_epochs", epochs)
            second.append(run(capsys, *RESUME))
        epochs(*arguments)

    monkeypatch.setattr("xpmlp.train._run_epochs", meanwhile)
    assert run(capsys, *RESUME)[0] == 0
    assert [(found[0], found[2].endswith(IN_USE)) for found in second] == [(2, True)]
    assert len((one / "history.csv").read_text().splitlines()) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="no shared locks on Windows")
def test_several_seeds_are_locked_as_one_and_one_by_one(capsys, tmp_path):
    assert run(capsys, *QUICK, "--quiet", "--seeds", "2", "--out", "many")[0] == 0
    many = tmp_path / "many"
    with FolderLock() as whole:
        lock_run(whole, many)
        with FolderLock() as other, pytest.raises(FolderInUseError, match="many is in use"):
            lock_run(other, many / "seed-1")
    with FolderLock() as seed, FolderLock() as other:
        lock_run(seed, many / "seed-1")
        lock_run(other, many / "seed-0")
        with FolderLock() as third:
            for name in ("seed-1", "."):
                with pytest.raises(FolderInUseError):
                    lock_run(third, many / name)
    assert list(tmp_path.rglob(LOCK)) == [many / LOCK], "other seeds may be about to share it"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_seed_by_another_name_is_a_seed(capsys, tmp_path):
    assert run(capsys, *QUICK, "--quiet", "--seeds", "2", "--out", "many")[0] == 0
    (tmp_path / "latest").symlink_to(tmp_path / "many" / "seed-0")
    with FolderLock() as whole, FolderLock() as seed:
        lock_run(whole, tmp_path / "many")
        with pytest.raises(FolderInUseError):
            lock_run(seed, tmp_path / "latest")


def test_a_folder_that_is_no_seeds_locks_nothing_around_it(tmp_path):
    (tmp_path / "config.toml").touch()
    (tmp_path / "inner").mkdir()
    with FolderLock() as lock:
        lock_run(lock, tmp_path / "inner")
        assert [path.relative_to(tmp_path) for path in tmp_path.rglob(LOCK)] == [
            (tmp_path / "inner" / LOCK).relative_to(tmp_path)
        ]


def test_a_file_that_is_taken_away_before_it_is_locked_is_made_anew(tmp_path, monkeypatch):
    """As by a run that ended between the opening and the locking."""
    real, locked = locks._lock, []

    def late(file, **options):
        if not locked:
            (tmp_path / LOCK).unlink()
        locked.append(file)
        real(file, **options)

    monkeypatch.setattr(locks, "_lock", late)
    with FolderLock() as lock:
        lock.take(tmp_path)
        assert lock.is_held()
        assert len(locked) == 2
        (tmp_path / LOCK).unlink()
        assert not lock.is_held()
        (tmp_path / LOCK).touch()
        assert not lock.is_held()
    assert (tmp_path / LOCK).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not of Windows")
def test_a_file_system_without_locks_is_said_and_no_obstacle(capsys, one, monkeypatch):
    def none(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", none)
    code, _, err = run(capsys, *RESUME)
    assert code == 0
    assert err.splitlines()[0] == (
        "note: one can't be locked (No locks available), so nothing keeps a second run out of it"
    )
