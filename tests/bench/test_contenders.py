"""Every contender takes the same path: that of the formulas, row by row, in float64."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from bench.cases import Case, Problem
from bench.contenders import CONTENDERS
from bench.contenders.base import Contender, Unavailable, batch_sizes
from tests.conftest import load_or_skip
from xpmlp.backends.cuda_driver import query_driver
from xpmlp.backends.registry import BACKENDS
from xpmlp.types import Affine

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

ROWS, FEATURES, CLASSES, EPOCHS = 150, 20, 4, 3
EPS = float(np.finfo(np.float32).eps)
RATES = {"sgd": 0.2, "momentum": 0.1, "adam": 0.01}
ACTIVATIONS = ("relu", "sigmoid")
ROUNDINGS = {"sgd": 8, "momentum": 8, "adam": 128}
ON_CPU = [name for name, entry in CONTENDERS.items() if "cpu" in entry.devices]
ON_GPU = [name for name, entry in CONTENDERS.items() if "cuda" in entry.devices]
TRAINED = [name for name in ON_CPU if name != "floor"]
SLOW = "PyTorch compile"
PATHS = [
    (name, optimizer, activation)
    for name in TRAINED
    for optimizer in RATES
    for activation in ACTIVATIONS
    if name != SLOW or (optimizer == "momentum") == (activation == "sigmoid")
]


def make_case(optimizer="sgd", activation="relu", hidden=(9, 7), batch_size=32) -> Case:
    """150 rows in batches of 32: four full ones and a ragged one of 22."""
    return Case(
        "test", hidden, batch_size, activation, optimizer, RATES[optimizer], ROWS, "float32"
    )


def make_problem(hidden=(9, 7), seed=0) -> Problem:
    """Sparse rows in [0, 1], as images have, and labels that a linear map gives."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.random((ROWS, FEATURES), dtype=np.float32) - 0.5, 0) * 2
    y = np.argmax(x @ rng.standard_normal((FEATURES, CLASSES)), axis=1)
    sizes = (FEATURES, *hidden, CLASSES)
    initial = tuple(
        Affine(
            rng.standard_normal((d, h), dtype=np.float32) / np.float32(np.sqrt(d)),
            np.zeros(h, np.float32),
        )
        for d, h in pairwise(sizes)
    )
    return Problem(x, y.astype(np.int64), initial)


def formulas(case: Case, problem: Problem, early_epsilon: bool = False) -> list[np.ndarray]:
    """Return W₁, b₁, W₂, … after some epochs, in float64, one row after the other.

    early_epsilon: Adam's ε is added before √v is corrected.
    """
    params = [leaf.astype(np.float64) for layer in problem.initial for leaf in layer]
    m, v = ([np.zeros_like(p) for p in params] for _ in range(2))
    t = 0
    for epoch in range(EPOCHS):
        order = problem.order(epoch)
        for start in range(0, ROWS, case.batch_size):
            rows = order[start : start + case.batch_size]
            grads = [np.zeros_like(p) for p in params]
            for row in rows:
                for g, one in zip(grads, row_gradient(case, params, problem, row), strict=True):
                    g += one / len(rows)
            t += 1
            for i, g in enumerate(grads):
                if case.optimizer == "adam":
                    m[i] = 0.9 * m[i] + 0.1 * g
                    v[i] = 0.999 * v[i] + 0.001 * g**2
                    c = 1 - 0.999**t
                    epsilon = 1e-8 / np.sqrt(c) if early_epsilon else 1e-8
                    step = m[i] / (1 - 0.9**t) / (np.sqrt(v[i] / c) + epsilon)
                else:
                    v[i] = (0.9 if case.optimizer == "momentum" else 0.0) * v[i] + g
                    step = v[i]
                params[i] = params[i] - case.learning_rate * step
    return params


def row_gradient(case: Case, params: list, problem: Problem, row: int) -> list[np.ndarray]:
    values = [problem.x[row].astype(np.float64)]
    for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
        z = values[-1] @ W + b
        values.append(z * (z > 0) if case.activation == "relu" else (1 + np.tanh(z / 2)) / 2)
    logits = values[-1] @ params[-2] + params[-1]
    dz = np.exp(logits - np.logaddexp.reduce(logits)) - np.eye(CLASSES)[problem.y[row]]
    grads: list[np.ndarray] = []
    for i in reversed(range(len(values))):
        a = values[i]
        grads = [np.outer(a, dz), dz, *grads]
        dz = (params[2 * i] @ dz) * (a > 0 if case.activation == "relu" else a * (1 - a))
    return grads


def prepare(name: str, case: Case, problem: Problem) -> Contender:
    if CONTENDERS[name].package in ("torch", "jax") and name != "floor":
        pytest.importorskip(CONTENDERS[name].package)
    if name == SLOW:
        import torch

        torch.compiler.reset()
    try:
        return CONTENDERS[name](case, problem, "cpu")
    except Unavailable as error:
        pytest.skip(str(error))


def train(contender: Contender, problem: Problem) -> list[np.ndarray]:
    for epoch in range(EPOCHS):
        contender.epoch(problem.order(epoch))
    return leaves(contender)


def leaves(contender: Contender) -> list[np.ndarray]:
    return [leaf for layer in contender.weights() for leaf in layer]


def roundings_apart(ours: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """Return the largest |Δ| / max|W| over all arrays, in roundings of float32."""
    assert [a.shape for a in ours] == [b.shape for b in expected]
    assert {a.dtype for a in ours} == {np.dtype("float32")}
    pairs = zip(ours, expected, strict=True)
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)) / EPS


@pytest.mark.parametrize(("name", "optimizer", "activation"), PATHS)
def test_all_end_at_the_weights_of_the_formulas(name, optimizer, activation):
    """Three epochs of four full batches and a ragged one, through two hidden layers.

    Adam may be further off: in float32 the correction 1 - 0.999ᵗ has lost three digits.
    """
    case, problem = make_case(optimizer, activation), make_problem()
    ours = train(prepare(name, case, problem), problem)
    early = name == "scikit-learn"
    expected = formulas(case, problem, early_epsilon=early)
    assert roundings_apart(ours, expected) < ROUNDINGS[optimizer]


@pytest.mark.parametrize("batch_size", [30, ROWS, 10 * ROWS])
@pytest.mark.parametrize("name", [name for name in TRAINED if name != SLOW])
def test_without_a_ragged_batch(name, batch_size):
    """Batches that divide the rows, a single batch of all rows, and a larger one."""
    case = make_case("momentum", hidden=(12,), batch_size=batch_size)
    problem = make_problem((12,))
    ours = train(prepare(name, case, problem), problem)
    assert roundings_apart(ours, formulas(case, problem)) < ROUNDINGS["momentum"]


def test_the_paths_lead_somewhere():
    """The comparison would see another order, another rate, or no ragged batch."""
    case, problem = make_case(), make_problem()
    start = [leaf for layer in problem.initial for leaf in layer]
    end = [leaf.astype(np.float32) for leaf in formulas(case, problem)]
    far = 1000 * ROUNDINGS["adam"]
    assert roundings_apart(start, end) > far
    for other in (make_case(batch_size=30), make_case("momentum"), make_case("adam")):
        assert roundings_apart(end, formulas(other, problem)) > far


@pytest.mark.parametrize("name", ON_CPU)
def test_what_a_contender_says_and_leaves_alone(name):
    case, problem = make_case(), make_problem()
    contender = prepare(name, case, problem)
    contender.epoch(problem.order(0))
    fetched = leaves(contender)
    kept = [leaf.copy() for leaf in fetched]
    contender.epoch(problem.order(1))
    assert all((a == b).all() for a, b in zip(fetched, kept, strict=True))
    untouched = make_problem()
    assert (problem.x == untouched.x).all()
    assert (problem.y == untouched.y).all()
    for ours, theirs in zip(problem.initial, untouched.initial, strict=True):
        assert (ours.W == theirs.W).all()
        assert (ours.b == theirs.b).all()

    about = contender.describe()
    assert contender.name == name
    assert {"library", "version", "device", "device_name", "epoch"} <= set(about)
    assert all(isinstance(text, str) and text for text in about.values())
    assert about["device"] == "cpu"
    assert contender.peak_memory() > 0


@pytest.mark.parametrize("name", [name for name in TRAINED if name.startswith("xpmlp")])
def test_xpmlps_rows_are_its_trainer(name):
    """To the bit what `Trainer` gives, which records no more than the other rows."""
    from xpmlp.data.dataset import Dataset, Rows
    from xpmlp.training.config import Config
    from xpmlp.training.trainer import Trainer

    case, problem = make_case("momentum"), make_problem()
    backend = load_or_skip(name.split()[1], "float32")
    config = Config(
        hidden=case.hidden,
        optimizer="momentum",
        learning_rate=case.learning_rate,
        lr_schedule="constant",
        batch_size=case.batch_size,
        epochs=EPOCHS,
        record="loss",
    )
    rows, none = Rows(problem.x, problem.y), Rows(problem.x[:0], problem.y[:0])
    data = Dataset("test", "classification", rows, none, none, tuple("abcd"))
    trainer = Trainer(config, data, backend, initial=problem.initial, order=problem.order)
    assert len(list(trainer.epochs())) == EPOCHS
    assert trainer.history.metric_names == ("loss",)
    expected = [leaf for layer in trainer.model().params for leaf in layer]
    ours = train(prepare(name, case, problem), problem)
    assert all((a == b).all() for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize("name", [name for name in TRAINED if name.startswith("xpmlp")])
def test_xpmlps_rows_say_how_their_last_epoch_ran(name, monkeypatch):
    problem = make_problem()
    contender = prepare(name, make_case(), problem)
    contender.epoch(problem.order(0))
    step = contender.trainer.problem.step
    assert contender.how_it_ran == step.how
    assert contender.describe()["epoch"].endswith(f"; {step.how}")
    monkeypatch.setattr(contender, "trainer", SimpleNamespace(problem=SimpleNamespace(step=len)))
    assert contender.how_it_ran == "step by step"


def test_every_backend_has_its_row():
    """But array-api-strict, which checks and is not meant to be fast; two have a second row."""
    second = ("bf16", "replay")
    own = [name for name in CONTENDERS if name.startswith("xpmlp ") and not name.endswith(second)]
    names = {name.removeprefix("xpmlp ") for name in own if not CONTENDERS[name].flag}
    assert names == set(BACKENDS) - {"array-api-strict"}
    for name in names:
        assert CONTENDERS[f"xpmlp {name}"].devices == BACKENDS[name].devices


def test_the_floor_is_the_products():
    from bench.contenders.floor import Floor

    sizes = (FEATURES, 9, 7, CLASSES)
    floor = Floor(make_case(), make_problem(), "cpu")
    floor.epoch(np.arange(ROWS))
    assert floor.weights() == []
    assert set(floor.products) == {32, 22}
    for rows, products in floor.products.items():
        shapes = [(left.shape, right.shape) for left, right, _ in products]
        forward = [((rows, d), (d, h)) for d, h in pairwise(sizes)]
        weights = [((d, rows), (rows, h)) for d, h in pairwise(sizes)]
        back = [((rows, h), (h, d)) for d, h in pairwise(sizes[1:])]
        assert sorted(shapes) == sorted(forward + weights + back)
        for left, right, out in products:
            np.testing.assert_allclose(out, left @ right, rtol=64 * EPS, atol=64 * EPS)


def test_the_floors_operations_are_those_of_the_case():
    """The products that are timed are those that GFLOP/s are counted from."""
    from bench.cases import case_of
    from bench.contenders.floor import products

    case = case_of(6, 5, batch_size=32, rows=ROWS)
    initial = tuple(
        Affine(np.zeros((d, h), np.float32), np.zeros(h, np.float32))
        for d, h in pairwise(case.sizes)
    )
    problem = Problem(np.zeros((ROWS, 784), np.float32), np.zeros(ROWS, np.int64), initial)
    counted = sum(
        2 * left.shape[0] * left.shape[1] * right.shape[1]
        for rows in batch_sizes(ROWS, case.batch_size)
        for left, right, _ in products(problem, rows)
    )
    assert counted == case.operations


class Replay:
    """A CUDA graph without a GPU: the calls before the capture happen, replays call the step."""

    def __init__(self, step, device):
        for _ in range(3):
            step()
        self.replay = step


@pytest.mark.parametrize("batch_size", [32, ROWS])
@pytest.mark.parametrize("optimizer", RATES)
def test_cuda_graphs_begin_at_the_given_weights(optimizer, batch_size, monkeypatch):
    """And copy the right rows; what CUDA itself does needs a GPU to test."""
    pytest.importorskip("torch")
    from bench.contenders import cuda_graphs, torch_rows

    def on_cpu(case, model, capturable):
        return torch_rows.make_optimizer(case, model)

    monkeypatch.setattr(cuda_graphs, "capture", Replay)
    monkeypatch.setattr(cuda_graphs, "make_optimizer", on_cpu)
    case, problem = make_case(optimizer, batch_size=batch_size), make_problem()
    ours = train(cuda_graphs.TorchCudaGraph(case, problem, "cpu"), problem)
    assert roundings_apart(ours, formulas(case, problem)) < ROUNDINGS[optimizer]


def test_the_gpus_floor_is_the_cpus(monkeypatch):
    pytest.importorskip("torch")
    from bench.contenders import cuda_graphs

    products = []

    def recorded(left, right, out):
        products.append((tuple(left.shape), tuple(right.shape), tuple(out.shape)))

    monkeypatch.setattr(cuda_graphs, "capture", Replay)
    floor = cuda_graphs.GpuFloor(make_case(), make_problem(), "cpu")
    monkeypatch.setattr(cuda_graphs.torch, "matmul", recorded)
    floor.epoch(np.arange(ROWS))
    assert floor.weights() == []
    host = CONTENDERS["floor"](make_case(), make_problem(), "cpu")
    expected = [p for rows in host.sizes for p in host.products[rows]]
    assert products == [(left.shape, right.shape, out.shape) for left, right, out in expected]


@pytest.mark.parametrize("name", ON_GPU)
def test_no_gpu_is_a_reason(name):
    if query_driver().gpus:
        pytest.skip("there is a GPU")
    if CONTENDERS[name].package in ("torch", "jax"):
        pytest.importorskip(CONTENDERS[name].package)
    with pytest.raises(Unavailable, match=r"GPU|cuda|CUDA|driver"):
        CONTENDERS[name](make_case(), make_problem(), "cuda:0")


@pytest.mark.parametrize("name", [name for name in ON_GPU if name.startswith(("PyTorch", "floor"))])
def test_the_precision_is_set_whatever_it_was(name, monkeypatch):
    """Products of a row are full float32 unless its name says TF32."""
    torch = pytest.importorskip("torch")
    said = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", said.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises((AssertionError, RuntimeError)):
        CONTENDERS[name](make_case(), make_problem(), "cuda:0")
    assert said == ["high" if name.endswith("tf32") else "highest"]


def test_the_variants_of_xpmlps_rows(monkeypatch):
    from bench.contenders import xpmlp_rows

    asked = []

    def select(name, device, dtype, **options):
        asked.append((name, options["matmul_precision"]))
        return SimpleNamespace(backend=SimpleNamespace(unroll=1))

    monkeypatch.setattr(xpmlp_rows, "select_backend", select)
    monkeypatch.setattr(xpmlp_rows, "Trainer", lambda *_, **__: SimpleNamespace(state=None))
    rows = ("xpmlp torch", "xpmlp torch tf32", "xpmlp cupy tf32", "xpmlp jax unroll 8")
    made = [CONTENDERS[name](make_case(), make_problem(), "cuda:0") for name in rows]
    assert asked == [("torch", "full"), ("torch", "tf32"), ("cupy", "tf32"), ("jax", "full")]
    assert [one.backend.unroll for one in made] == [1, 1, 1, 8]
    assert [one.name for one in made] == list(rows)


def test_a_device_that_a_contender_does_not_know():
    with pytest.raises(Unavailable, match="it runs on cpu, not on cuda:0"):
        CONTENDERS["textbook NumPy"](make_case(), make_problem(), "cuda:0")
    with pytest.raises(Unavailable, match="it runs on cuda, not on cpu"):
        CONTENDERS["xpmlp cupy"](make_case(), make_problem(), "cpu")


@pytest.mark.parametrize("name", ["PyTorch eager", "JAX autograd scan", "xpmlp torch", "xpmlp jax"])
def test_a_library_that_is_not_installed(name, monkeypatch):
    library = CONTENDERS[name].package
    monkeypatch.setitem(sys.modules, library, None)
    for module in ("torch_rows", "jax_row"):
        monkeypatch.delitem(sys.modules, f"bench.contenders.{module}", raising=False)
    for module in ("torch.backend", "torch.kernels", "jax_backend"):
        monkeypatch.delitem(sys.modules, f"xpmlp.backends.{module}", raising=False)
    with pytest.raises(Unavailable, match=f"install it with: .*pip install {library}"):
        CONTENDERS[name](make_case(), make_problem(), "cpu")


def test_no_compiler_is_a_reason(monkeypatch):
    torch = pytest.importorskip("torch")

    def broken(*_, **__):
        raise RuntimeError("no working C++ compiler\nand a long trace")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(Unavailable, match=r"does not work here: no working C\+\+ compiler$"):
        CONTENDERS[SLOW](make_case(), make_problem(), "cpu")
