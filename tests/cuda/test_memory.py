"""Memory of the GPU: what is too large ends with a remedy, and what is moved is little."""

import warnings

import numpy as np
import pytest

from tests.cuda import devices
from tests.problems import make_dataset, relative_distance
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import RunError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config

pytestmark = pytest.mark.cuda

WIDTH = 2**18
SMALL = Config(hidden=(6,), epochs=3, batch_size=16)


def test_out_of_memory_is_explained_and_passes(gpu):
    """All rows at once, so that the hidden layer's values alone are larger than the memory."""
    backend, data = gpu.backend("float32"), make_dataset(dtype="float32")
    before = fit(SMALL, data, backend=backend).model.params
    count = 3 * devices.total_memory() // (2 * 4 * WIDTH)
    x = np.zeros((count, 2), np.float32)
    rows, none = Rows(x, np.zeros(count, np.int64)), Rows(x[:0], np.zeros(0, np.int64))
    large = Dataset("large", "classification", rows, none, none, ("a", "b"))
    with pytest.raises(RunError, match=r"out of memory on .* try a smaller batch_size") as caught:
        fit(Config(hidden=(WIDTH,), epochs=1, batch_size=0), large, backend=backend)
    assert "\n" not in str(caught.value)
    assert relative_distance(fit(SMALL, data, backend=backend).model.params, before) == 0


def second_epoch(backend, batch_size):
    """Return a function that runs the epoch after the first, on 300 rows."""
    config = SMALL.replace(epochs=1, batch_size=batch_size)
    trainer = fit(config, make_dataset(rows=900, dtype="float32"), backend=backend).trainer
    plan, problem = trainer.plan(), trainer.problem

    def run():
        with backend.running():
            return backend.run_epoch(
                problem.step, trainer.state, problem.train, plan, trainer.hyper
            )

    return run


def test_an_epoch_moves_its_order_its_rates_and_its_metrics(gpu, monkeypatch):
    backend = gpu.backend("float32")
    run = second_epoch(backend, 32)
    moved = {"asarray": [], "to_numpy": []}
    for name, sizes in moved.items():
        move = getattr(backend, name)

        def noted(array, move=move, sizes=sizes):
            sizes.append(int(np.prod(array.shape, dtype=int)))
            return move(array)

        monkeypatch.setattr(backend, name, noted)
    _, metrics = run()
    orders = 2 if gpu.name == "jax" else 1
    assert len(moved["asarray"]) <= orders + 1
    assert sum(moved["asarray"]) <= 300 + 10
    assert moved["to_numpy"] == [metrics.size]
    assert metrics.shape == (10, 5)


def count_waits(run):
    """Return how often PyTorch waited for the GPU, of which it warns."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")  # warns itself, that it may miss some
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("gpu", ["torch"], indirect=True)  # only PyTorch tells when it waits
def test_an_epoch_waits_as_often_for_many_steps_as_for_few(gpu):
    """Uploads and the download wait; no step does."""
    runs = [second_epoch(gpu.backend("float32"), batch_size) for batch_size in (100, 5)]
    waits = [count_waits(run) for run in runs]
    assert count_waits(lambda: gpu.backend().asarray(np.ones(1)).item()) > 0
    assert waits[0] == waits[1]
    assert waits[0] <= 4
