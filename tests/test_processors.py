"""The processors that a process may use, over made-up control groups."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import joblib
import pytest

from xpmlp.processors import usable_processors, usual_threads

MANY = 64


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of many processors, all of which the process may use."""
    monkeypatch.setattr(os, "cpu_count", lambda: MANY)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(MANY)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def system(root, files):
    """Write a system's files under a folder, and return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


def v1(folder, quota, period=100_000):
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


GROUP, ROOT = "proc/self/cgroup", "sys/fs/cgroup"
LIKE_JOBLIB = {
    "no control groups": ({}, MANY),
    "version 2, a container's own root": ({GROUP: "0::/", f"{ROOT}/cpu.max": "200000 100000"}, 2),
    "version 2, rounded up": ({GROUP: "0::/", f"{ROOT}/cpu.max": "150000 100000"}, 2),
    "version 2, less than one": ({GROUP: "0::/", f"{ROOT}/cpu.max": "5000 100000"}, 1),
    "version 2, no limit": ({GROUP: "0::/", f"{ROOT}/cpu.max": "max 100000"}, MANY),
    "version 2, more than there are": ({GROUP: "0::/", f"{ROOT}/cpu.max": "9900000 100000"}, MANY),
    "version 1": ({GROUP: "3:cpu,cpuacct:/", **v1(f"{ROOT}/cpu", 350_000)}, 4),
    "version 1, no limit": ({GROUP: "3:cpu:/", **v1(f"{ROOT}/cpu", -1)}, MANY),
    "version 1, the path of the host": (
        {GROUP: "3:cpu:/docker/5e", **v1(f"{ROOT}/cpu", 50_000)},
        1,
    ),
}
BEYOND_JOBLIB = {
    "its own group": (
        {GROUP: "0::/user/job", f"{ROOT}/user/job/cpu.max": "300000 100000"},
        3,
    ),
    "a group above has less": (
        {
            GROUP: "0::/user/job",
            f"{ROOT}/user/job/cpu.max": "800000 100000",
            f"{ROOT}/user/cpu.max": "200000 100000",
        },
        2,
    ),
    "a sibling's is another's": (
        {GROUP: "0::/user/job", f"{ROOT}/user/other/cpu.max": "100000 100000"},
        MANY,
    ),
    "version 1, mounted under its controllers": (
        {GROUP: "4:memory:/a\n3:cpu,cpuacct:/a", **v1(f"{ROOT}/cpu,cpuacct/a", 200_000)},
        2,
    ),
    "the quota of another hierarchy": (
        {GROUP: "4:memory:/a\n3:cpuset:/a", **v1(f"{ROOT}/memory/a", 200_000)},
        MANY,
    ),
    "a group outside the namespace": (
        {GROUP: "0::/../../job", f"{ROOT}/cpu.max": "100000 100000", "sys/cpu.max": "1 1"},
        1,
    ),
    "a damaged file": ({GROUP: "0::/", f"{ROOT}/cpu.max": "many"}, MANY),
}


def cases(table):
    return pytest.mark.parametrize(("files", "expected"), table.values(), ids=table)


@cases(LIKE_JOBLIB)
def test_a_quota_is_counted_as_joblib_counts_it(tmp_path, monkeypatch, files, expected):
    assert usable_processors(system(tmp_path, files)) == expected
    assert joblibs_count(monkeypatch, tmp_path) == expected


def joblibs_count(monkeypatch, root):
    """Return what joblib says where the system's files lie under a folder."""

    def moved(path):
        return root / str(path)[1:] if str(path).startswith("/sys/fs/cgroup") else path

    opened = builtins.open
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", lambda file, *rest: opened(moved(file), *rest))
        patch.setattr(os.path, "exists", lambda path: Path(moved(path)).is_file())
        return joblib.cpu_count()


@cases(BEYOND_JOBLIB)
def test_the_quota_of_the_own_group_and_of_those_above_counts(tmp_path, files, expected):
    assert usable_processors(system(tmp_path, files)) == expected


def test_the_mask_and_the_quota_are_both_bounds(tmp_path, monkeypatch):
    root = system(tmp_path, {GROUP: "0::/", f"{ROOT}/cpu.max": "300000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5, 7})
    assert usable_processors(root) == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert usable_processors(root) == 3


def test_a_system_without_masks_has_all_its_processors(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_processors(tmp_path) == MANY
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors(tmp_path) == 1


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python takes the number from 3.13 on")
def test_the_number_that_python_was_told_is_a_bound():
    code = "from xpmlp.processors import usable_processors as n; print(n())"
    done = subprocess.run([sys.executable, "-X", "cpu_count=1", "-c", code], capture_output=True)
    assert done.stdout == b"1\n"


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("2", 2), ("4,1", 4), (" 3 ", 3), ("99", 8), ("0", 8), ("-1", 8), ("many", 8), ("", 8)],
)
def test_omp_num_threads_bounds_threads_but_not_processors(tmp_path, monkeypatch, wish, expected):
    root = system(tmp_path, {GROUP: "0::/", f"{ROOT}/cpu.max": "800000 100000"})
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert (usual_threads(root), usable_processors(root)) == (expected, 8)


def test_a_worker_of_joblib_takes_what_it_is_given():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        found = joblib.Parallel()(joblib.delayed(usual_threads)() for _ in range(2))
    assert found == [1, 1]
