"""The plan of a sweep: what is decided before anything trains, and what it is read back as."""

import json

import pytest

from xpmlp.errors import InputError
from xpmlp.processors import free_memory
from xpmlp.search import memory
from xpmlp.search.grounds import Grounds
from xpmlp.search.plan import Plan
from xpmlp.search.planning import Wishes, make_plan
from xpmlp.training.config import Config
from xpmlp.training.setup import load_for

GIVEN = {"dataset": "iris", "hidden": ["4,8x8"], "backend": "numpy", "seeds": "2"}


def planned(wishes=None, **given):
    return make_plan(GIVEN | given, wishes or Wishes(), Grounds())


def test_a_plan_is_read_back_as_it_was(tmp_path):
    plan, _ = planned(Wishes(halving="sync", eta=2), learning_rate="0.1,0.2", epochs="8")
    plan = plan._replace(failures={"trial-1/seed-0": "the loss became nan"})
    plan.save(tmp_path)
    assert Plan.load(tmp_path) == plan
    assert plan.seeds == (0, 1)
    assert plan.trials[3].settings == {"hidden": (8, 8), "learning_rate": 0.2}
    assert plan.trials[3].config.loss == "softmax_cross_entropy"


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"by": "luck"},
        {"at_once": 0},
        {"trials": []},
        {"trials": [{"settings": {}}]},
        {"trials": [{"settings": {}, "config": {"hidden": "wide"}}]},
        {"halving": {"kind": "sync", "eta": 1, "rungs": [1]}},
        {"halving": 3},
    ],
)
def test_a_damaged_plan_is_told_in_a_line(change, tmp_path):
    planned()[0].save(tmp_path)
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"sweep\.json") as caught:
        Plan.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_as_many_train_at_once_as_fit_into_half_of_what_is_free(monkeypatch):
    config = Config(hidden=(8, 8), dataset="iris", epochs=10).filled()
    data = load_for(config)
    each, rows = memory.bytes_of_member(config, data), len(data.train)
    weights, batch = 4 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3, min(rows, 128)
    numbers = 24 * weights + batch * (4 + 4 * (8 + 8 + 3))
    assert each == 4 * numbers + 8 * (2 * rows + 10 * 1 * (2 + 2 * 4))
    backend = "xpmlp.backends.base.Backend.free_memory"
    monkeypatch.setattr(backend, lambda self: 2 * 7 * each + 1)
    plan, why = planned(epochs="10")
    assert plan.at_once == 7
    assert why.startswith("each takes some 1 MiB, and half of the 1 MiB that are free")
    monkeypatch.setattr(backend, lambda self: 1)
    assert planned()[0].at_once == 2  # the seeds of a trial
    monkeypatch.setattr(backend, lambda self: 0)
    assert planned()[0].at_once > 1000
    assert planned(Wishes(at_once=5))[0].at_once == 5


def test_free_memory_is_the_least_of_machine_and_control_group(tmp_path):
    assert free_memory(tmp_path) == 0
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 900 kB\nMemAvailable:     500 kB\nHuge: 0\n")
    assert free_memory(tmp_path) == 500 * 1024
    (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
    group = tmp_path / "sys/fs/cgroup/job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("300000\n")
    (group / "memory.current").write_text("250000\n")
    (group / "memory.stat").write_text("anon 10\ninactive_file 20000\n")
    assert free_memory(tmp_path) == 70_000
    (group / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) == 500 * 1024


def test_rows_that_differ_are_noted(capsys):
    planned(data_seed="0", validation="0.1,0.2")
    assert "note: validation differs, so not all trials are judged" in capsys.readouterr().err
