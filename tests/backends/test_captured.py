"""Epochs from captured steps, on libraries of the CPU whose "graph" is a list of calls."""

import numpy as np
import pytest
from hypothesis import given, settings

from tests.backends.test_agreement import RUNS, TWO_HUNDRED_STEPS
from tests.compiler.test_plan import assert_replays, problems
from tests.conftest import load_or_skip
from tests.problems import make_dataset, relative_distance
from tests.thorough import examples
from xpmlp.backends import captured
from xpmlp.backends.base import EpochPlan
from xpmlp.backends.captured import CapturedBackend, Part, parts
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config
from xpmlp.types import Batch


def recording_backend(dtype="float64"):
    """Return a PyTorch backend that plans as it does on a GPU and notes what it captures."""
    backend = load_or_skip("torch", dtype)
    backend.captures, backend.kernels.on_cpu, backend.graphs = True, False, []

    def capture(calls):
        graph = list(calls)
        backend.graphs.append(graph)

        def launch():
            for call in graph:
                call()

        return launch

    backend.capture = capture
    return backend


@settings(max_examples=examples(20, few=5), deadline=None)
@given(problem=problems())
def test_captured_steps_are_the_step(problem):
    assert_replays(recording_backend(problem[-1]), problem, captured.CapturedEpoch)


@pytest.mark.parametrize("label", RUNS)
def test_200_steps_end_where_numpys_do(label):
    config, backend = Config(**TWO_HUNDRED_STEPS, **RUNS[label]), recording_backend()
    ours = fit(config, make_dataset(rows=900), backend=backend)
    numpys = fit(config, make_dataset(rows=900), backend=load_or_skip("numpy"))
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-8, atol=1e-12)
    assert len(backend.graphs) == 1


def test_plain_sgd_folds_its_update_into_the_product_on_a_gpu():
    config = Config(
        hidden=(12,),
        optimizer="sgd",
        record="loss",
        lr_schedule="constant",
        batch_size=3,
        epochs=5,
        dtype="float64",
    )
    backend = recording_backend()
    ours, numpys = (
        fit(config, make_dataset(), backend=one) for one in (backend, load_or_skip("numpy"))
    )
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-12
    (calls,) = backend.graphs
    names = [getattr(call.func, "__name__", "") for call in calls]
    assert names.count("addmm") == 2 * 10
    assert names.count("matmul") == 3 * 10


def test_the_rows_of_a_step_are_pieces_of_one_window():
    backend = recording_backend()
    run = fit(
        Config(hidden=(5,), epochs=1, batch_size=7, dtype="float64"),
        make_dataset(),
        backend=backend,
    )
    (epoch,) = run.trainer.problem.step.plans.kept.values()
    assert epoch.window.x.shape == (30, 4)
    assert sorted(epoch.plans) == [2, 7]


def test_new_data_in_place_is_captured_anew():
    """A single batch of all rows is taken where it lies, so that a graph is of those rows alone."""
    backend = recording_backend()
    config = Config(hidden=(5,), epochs=2, batch_size=0, dtype="float64")
    for data in (make_dataset(), make_dataset(seed=1)):
        ours, numpys = (fit(config, data, backend=one) for one in (backend, load_or_skip("numpy")))
        assert relative_distance(ours.model.params, numpys.model.params) < 1e-12


def test_epochs_in_parts():
    rows = Batch(np.zeros((10, 3)), np.zeros(10, int))
    plan = EpochPlan(np.arange(10), 3, np.ones(4))
    assert parts(plan, rows) == [Part(0, (3, 3, 3, 1))]
    assert parts(EpochPlan(None, 10, np.ones(2)), rows) == [Part(0, (10,)), Part(1, (10,))]


def test_parts_are_limited_in_steps_and_in_bytes(monkeypatch):
    rows = Batch(np.zeros((10, 3)), np.zeros(10, int))
    plan = EpochPlan(np.arange(10), 3, np.ones(4))
    monkeypatch.setattr(captured, "STEPS_OF_A_GRAPH", 2)
    assert parts(plan, rows) == [Part(0, (3, 3)), Part(2, (3, 1))]
    monkeypatch.setattr(captured, "BYTES_OF_A_GRAPH", 3 * 32)
    assert [part.sizes for part in parts(plan, rows)] == [(3,), (3,), (3,), (1,)]
    members = EpochPlan(np.stack([np.arange(10)] * 2), 3, np.ones((4, 2)))
    monkeypatch.setattr(captured, "BYTES_OF_A_GRAPH", 2 * 2 * 3 * 32)
    assert [part.sizes for part in parts(members, rows)] == [(3, 3), (3, 1)]


def test_a_backend_must_know_how_to_capture():
    with pytest.raises(NotImplementedError):
        CapturedBackend("cpu", "float64").capture([])
