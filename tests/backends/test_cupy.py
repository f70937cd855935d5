"""The CuPy backend without a GPU: its lines, kernels and cuBLAS calls run over a stand-in."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.backends.test_agreement import RUNS, TWO_HUNDRED_STEPS
from tests.compiler.test_plan import assert_replays, problems
from tests.conftest import load_or_skip
from tests.problems import make_dataset, relative_distance
from tests.thorough import examples
from xpmlp.backends import captured
from xpmlp.errors import RunError
from xpmlp.nn.activations import ACTIVATIONS, Activation
from xpmlp.nn.initializers import initialize
from xpmlp.runs.fitting import fit, fit_many
from xpmlp.training.config import Config
from xpmlp.training.gradient_check import check_gradients
from xpmlp.types import Batch

PLAIN = {"hidden": (12,), "optimizer": "sgd", "record": "loss", "lr_schedule": "constant"}
SMALL = Config(hidden=(5,), epochs=3, batch_size=8, dtype="float64")


def run_both(config, backend, **options):
    data = make_dataset(**options)
    return fit(config, data, backend=backend), fit(
        config, data, backend=load_or_skip("numpy", config.dtype)
    )


def assert_same_run(ours, numpys):
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-9
    np.testing.assert_allclose(ours.history.steps, numpys.history.steps, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.test.logits, numpys.test.logits, rtol=1e-8, atol=1e-10)


@settings(
    max_examples=examples(20, few=5),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(problem=problems())
def test_graphs_are_the_step(cuda, make_backend, problem):
    assert_replays(make_backend(problem[-1]), problem, captured.CapturedEpoch)


@pytest.mark.parametrize("order", ["forward", "backward", 1])
@pytest.mark.parametrize("label", RUNS)
def test_200_steps_end_where_numpys_do(cuda, cupy_backend, label, order):
    cuda.order = order
    config = Config(**TWO_HUNDRED_STEPS, **RUNS[label])
    ours, numpys = run_both(config, cupy_backend, rows=900)
    assert_same_run(ours, numpys)
    assert len(ours.history.steps) == 200
    assert (cuda.captures, cuda.graph_launches) == (1, 20)


@pytest.mark.parametrize("more", [{}, {"l2": 0.1}, {"optimizer": "momentum"}])
def test_updates_fold_into_products_where_nobody_looks_at_gradients(cuda, cupy_backend, more):
    """Plain SGD is three kernels and five products a step, and as good as the general path."""
    config = Config(**TWO_HUNDRED_STEPS | PLAIN | {"batch_size": 3} | more)
    ours, numpys = run_both(config, cupy_backend)
    assert_same_run(ours, numpys)
    (nodes,) = cuda.graphs
    assert nodes.count("gemm") == 10 * 5
    assert len(nodes) == 10 * (9 if more.get("optimizer") == "momentum" else 8)


def test_gradients_that_are_looked_at_are_not_folded_away(cuda, cupy_backend):
    config = Config(**TWO_HUNDRED_STEPS | PLAIN | {"record": "norms"})
    ours, numpys = run_both(config, cupy_backend, rows=900)
    assert_same_run(ours, numpys)
    assert ours.history.steps.shape == (200, 5)


@pytest.mark.parametrize("batch_size", [0, 1, 7, 30])
def test_batches_of_any_size(cuda, cupy_backend, batch_size):
    assert_same_run(*run_both(SMALL.replace(batch_size=batch_size), cupy_backend))


def test_steps_whose_rows_are_aligned_differently(cuda, make_backend):
    """cuBLAS chooses by alignment, and must not load what it chooses within a capture."""
    data, config = make_dataset(features=3, dtype="float32"), SMALL.replace(dtype="float32")
    backend = make_backend("float32")
    ours, numpys = (
        fit(config.replace(batch_size=3), data, backend=one)
        for one in (backend, load_or_skip("numpy", "float32"))
    )
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-4
    assert cuda.captures == 1


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "muon"])
def test_ensembles_train_in_one_graph(cuda, cupy_backend, optimizer):
    config = SMALL.replace(seeds=(0, 1, 2), optimizer=optimizer, record="loss", l2=0.01)
    config = config.replace(learning_rate=0.01)
    ours = fit_many(config.members(), make_dataset(), backend=cupy_backend)
    alone = fit_many(config.members(), make_dataset(), backend=load_or_skip("numpy"))
    for one, other in zip(ours, alone, strict=True):
        assert_same_run(one, other)
    assert cuda.captures == 1
    assert {product["batch"] for product in cuda.gemms if product["captured"]} == {3}


@pytest.mark.parametrize("dtype", ["int32", "uint16", "int64"])
def test_orders_of_any_integers(cuda, cupy_backend, dtype):
    data = make_dataset()
    rows = np.random.default_rng(5).permutation(30).astype(dtype)
    ours, numpys = (
        fit(SMALL, data, backend=backend, order=lambda epoch: rows)
        for backend in (cupy_backend, load_or_skip("numpy"))
    )
    assert_same_run(ours, numpys)


def test_rows_that_lie_column_by_column_are_put_row_by_row(cupy_backend):
    host = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    with cupy_backend.running():
        rows = cupy_backend.asarray(host)
        out = cupy_backend.kernels.empty((2, 3), "float64")
        cupy_backend.kernels.gather(rows, cupy_backend.asarray(np.array([3, 1])), out)
        np.testing.assert_array_equal(cupy_backend.to_numpy(out), host[[3, 1]])


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize("width", [(), (1,), (3,), (4,), (5, 2)], ids=str)
def test_rows_of_any_width_are_gathered(cupy_backend, dtype, width):
    host = (np.random.default_rng(0).random((9, *width)) * 9).astype(dtype)
    index = np.array([8, 0, 3, 3])
    with cupy_backend.running():
        rows = importlib.import_module("cupy").asarray(host)
        out = cupy_backend.kernels.empty((4, *width), dtype)
        cupy_backend.kernels.gather(rows, cupy_backend.asarray(index), out)
        np.testing.assert_array_equal(cupy_backend.to_numpy(out), host[index])


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("start", [1, 2, 4])
def test_rows_and_places_that_begin_anywhere(cupy_backend, dtype, start):
    flat = np.arange(start + 16 * 9).astype(dtype)
    with cupy_backend.running():
        whole = importlib.import_module("cupy").asarray(flat)
        rows = whole[start:].reshape(9, 16)
        out = cupy_backend.kernels.empty(start + 16 * 3, dtype)
        index = cupy_backend.asarray(np.array([8, 0, 3]))
        for begin in (0, start):
            taken = out[begin : begin + 16 * 3].reshape(3, 16)
            cupy_backend.kernels.gather(rows, index, taken)
            host = flat[start:].reshape(9, 16)[[8, 0, 3]]
            np.testing.assert_array_equal(cupy_backend.to_numpy(taken), host)


def test_an_epoch_on_rows_that_are_not_aligned(make_backend):
    data, backend = make_dataset(dtype="float32"), make_backend("float32")
    rows = data.train.x
    with backend.running():
        flat = importlib.import_module("cupy").asarray(np.append(np.float32(0), rows))
    view = flat[1:].reshape(rows.shape)
    assert view.data.ptr % 16 == 4
    given = replace(data, train=replace(data.train, x=view))
    config = SMALL.replace(dtype="float32")
    ours, numpys = (
        fit(config, given, backend=backend),
        fit(config, data, backend=load_or_skip("numpy", "float32")),
    )
    assert relative_distance(ours.model.params, numpys.model.params) < 1e-4


def test_it_says_how_an_epoch_runs(cuda, cupy_backend, monkeypatch):
    run = fit(SMALL, make_dataset(), backend=cupy_backend)
    assert run.trainer.problem.step.how == "1 CUDA graph in 1 launch an epoch"
    monkeypatch.setattr(captured, "STEPS_OF_A_GRAPH", 3)
    run = fit(SMALL.replace(epochs=1), make_dataset(), backend=cupy_backend)
    assert run.trainer.problem.step.how == "2 CUDA graphs in 2 launches an epoch"
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "tanh", sine)
    run = fit(SMALL.replace(activation="tanh"), make_dataset(), backend=cupy_backend)
    assert run.trainer.problem.step.how.startswith("step by step, as written (sin is not")


def test_out_of_memory_while_capturing_is_no_reason_to_go_on_slowly(cupy_backend, monkeypatch):
    cupy = importlib.import_module("cupy")

    def full(*_, **__):
        raise cupy.cuda.memory.OutOfMemoryError("8 GiB")

    with cupy_backend.running():
        monkeypatch.setattr(type(cupy_backend.kernels), "empty", staticmethod(full))
    with pytest.raises(RunError, match="out of memory on cuda:1 with cupy"):
        fit(SMALL, make_dataset(), backend=cupy_backend)


def test_the_reason_is_the_first_error_of_a_chain():
    def break_off():
        try:
            raise ValueError("the cause")
        finally:
            raise RuntimeError("the capture was invalidated")

    with pytest.raises(RuntimeError) as caught:
        break_off()
    assert captured.first_reason(caught.value) == "ValueError: the cause"


def test_a_long_epoch_is_several_launches(cuda, cupy_backend, monkeypatch):
    monkeypatch.setattr(captured, "STEPS_OF_A_GRAPH", 4)
    ours, numpys = run_both(SMALL.replace(batch_size=3), cupy_backend)
    assert_same_run(ours, numpys)
    assert (cuda.captures, cuda.graph_launches) == (2, 3 * 3)  # 10 steps: 4, 4 and 2


def test_the_rows_of_a_graph_are_limited(cuda, cupy_backend, monkeypatch):
    monkeypatch.setattr(captured, "BYTES_OF_A_GRAPH", 5 * 8 * 30)
    ours, numpys = run_both(SMALL, cupy_backend)
    assert_same_run(ours, numpys)
    assert cuda.captures > 1


def test_an_epoch_moves_its_order_its_rates_and_its_metrics_and_waits_once(cuda, cupy_backend):
    run = fit(SMALL, make_dataset(), backend=cupy_backend)
    trainer, problem = run.trainer, run.trainer.problem
    with cupy_backend.running():
        plan = trainer.plan()
        for counted in (cuda.uploads, cuda.downloads, cuda.kernel_launches):
            counted.clear()
        waits, launches = cuda.synchronizations, cuda.graph_launches
        cupy_backend.run_epoch(problem.step, trainer.state, problem.train, plan, trainer.hyper)
    assert cuda.uploads == [(4,), (30,)]
    assert cuda.downloads == [(4, 5)]
    assert cuda.synchronizations - waits <= 1
    assert cuda.graph_launches - launches == 1
    assert len(cuda.kernel_launches) == 2  # the rows and the targets of the epoch


def test_new_epochs_take_new_rates_and_orders_without_a_new_capture(cuda, cupy_backend):
    config = SMALL.replace(epochs=6, lr_schedule="cosine", learning_rate=0.3)
    assert_same_run(*run_both(config, cupy_backend))
    assert cuda.captures == 1
    assert cuda.compilations == 2  # the gather, and all kernels of the steps


@pytest.mark.parametrize("precision", ["full", "tf32"])
def test_products_have_the_precision_that_was_asked_for(cuda, make_backend, precision):
    backend = make_backend("float32", matmul_precision=precision)
    linalg = importlib.import_module("cupy._core._routines_linalg")
    before = linalg.get_compute_type(np.float32)
    with backend.running():
        assert linalg.get_compute_type(np.float32) == {"full": 4, "tf32": 7}[precision]
    assert linalg.get_compute_type(np.float32) == before
    fit(SMALL.replace(dtype="float32"), make_dataset(dtype="float32"), backend=backend)
    kinds = {"full": 68, "tf32": 77}
    assert {product["compute_type"] for product in cuda.gemms} == {kinds[precision]}


def test_what_cannot_be_captured_runs_step_by_step_and_says_so(cuda, cupy_backend, monkeypatch):
    module = importlib.import_module("xpmlp.backends.cupy.kernels")

    def refuse(*_, **__):
        raise OSError("libcublas.so.13: cannot open shared object file")

    monkeypatch.setattr(module.pathfinder, "load_nvidia_dynamic_lib", refuse)
    with pytest.warns(RuntimeWarning, match="could not capture the steps .OSError: libcublas"):
        ours, numpys = run_both(SMALL, cupy_backend)
    assert_same_run(ours, numpys)
    assert cuda.captures == 0


def test_a_capture_compiles_nothing(cuda, cupy_backend):
    gather = importlib.import_module("xpmlp.backends.cupy.kernels").GATHER
    with cupy_backend.running():
        cupy_backend.kernels._known(gather)
        rows, index = cupy_backend.asarray(np.eye(3)), cupy_backend.asarray(np.array([2, 0]))
        out = cupy_backend.kernels.empty((2, 3), "float64")
        launch = cupy_backend.capture([lambda: cupy_backend.kernels.gather(rows, index, out)])
        launch()
        np.testing.assert_array_equal(cupy_backend.to_numpy(out), np.eye(3)[[2, 0]])


def test_a_capture_that_breaks_off_is_ended(cuda, cupy_backend):
    def breaks():
        raise ValueError("refused")

    with cupy_backend.running(), pytest.raises(ValueError, match="refused"):
        cupy_backend.capture([breaks])
    assert not cupy_backend.stream.is_capturing()


def test_a_mathematics_without_kernels_runs_as_it_is_written(cuda, cupy_backend, monkeypatch):
    sine = Activation(lambda xp, z: xp.sin(z), lambda xp, z, a: xp.cos(z))
    monkeypatch.setitem(ACTIVATIONS, "tanh", sine)
    assert_same_run(*run_both(SMALL.replace(activation="tanh"), cupy_backend))
    assert cuda.captures == 0


def test_all_work_is_on_the_device_and_its_stream(cuda, cupy_backend):
    fit(SMALL, make_dataset(), backend=cupy_backend)
    assert cuda.depth == 0
    assert {product["stream"] for product in cuda.gemms} == {cupy_backend.stream.ptr}
    assert {product["workspace_bytes"] for product in cuda.gemms} == {32 * 2**20}


def test_gradients_are_checked_on_the_device(cupy_backend):
    data = make_dataset()
    params = initialize(np, np.random.default_rng(0), (4, 5, 3), bias_std=0.5)
    checks = check_gradients(
        cupy_backend,
        params,
        Batch(data.train.x, data.train.y),
        activations=("tanh",),
        loss="softmax_cross_entropy",
    )
    assert [check.verdict for check in checks] == ["CORRECT"] * 4


def test_it_describes_the_gpu(cuda, cupy_backend):
    assert cupy_backend.describe() == {
        "backend": "cupy",
        "library": "cupy 14.2.0",
        "device": "cuda:1",
        "device_name": "Fake GPU 1",
        "dtype": "float64",
        "matmul_precision": "full",
    }
    assert cupy_backend.memory() == cuda.live_bytes
    cupy_backend.synchronize(())


def test_out_of_memory_is_explained(cupy_backend):
    cupy = importlib.import_module("cupy")
    with (
        pytest.raises(RunError, match="out of memory on cuda:1 with cupy; try a smaller"),
        cupy_backend.running(),
    ):
        raise cupy.cuda.memory.OutOfMemoryError("8 GiB")
    with pytest.raises(ValueError, match="other"), cupy_backend.running():
        raise ValueError("other")
