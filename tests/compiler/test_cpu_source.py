"""The C of a step: one text for nets of any width and batches of any number of rows."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.native import LARGE, SMALL, compiled_step, cut
from xpmlp.backends.base import EpochPlan
from xpmlp.backends.numpy import native
from xpmlp.backends.numpy.backend import NumpyBackend
from xpmlp.backends.numpy.blas import Blas, NoBlas, Threads, numpy_blas
from xpmlp.compiler.building import FLAGS
from xpmlp.nn.initializers import initialize
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.step import Objective, initial_state
from xpmlp.types import Batch, Hyper

UNUSED = ("-Wno-unused-parameter",)  # where a chain has no sums, a stage nothing to do


class Written:
    """A library that does nothing when it is called."""

    def __getattr__(self, name):
        return lambda *arguments: None


@pytest.fixture
def texts(monkeypatch):
    """The texts that would be compiled."""
    found = []
    monkeypatch.setattr(native, "load", lambda text: (found.append(text), Written())[1])
    monkeypatch.setattr(native, "_blas", lambda: Blas("none", 0, 0, 64, Threads(int, int)))
    return found


def write(texts, sizes, optimizer="sgd", dtype="float32", rows=224, batch_size=128, **options):
    """Return the texts of an epoch: of its full batches, and of the rest."""
    texts.clear()
    rng, backend = np.random.default_rng(0), NumpyBackend("cpu", dtype)
    activations = ("relu",) * (len(sizes) - 2)
    objective = Objective(activations, "softmax_cross_entropy", optimizer, **options)
    data = backend.put(Batch(rng.random((rows, sizes[0])), rng.integers(0, sizes[-1], rows)))
    params = backend.put(initialize(np, rng, sizes))
    state = initial_state(backend.xp, objective, params, np.asarray(0))
    hyper = Hyper(*map(np.float64, (0.1, rng.random(), 0.0, 0.9)))
    hyper = backend.put(hyper._replace(seed=np.asarray(7, np.int32)))
    plan = EpochPlan(np.arange(rows), batch_size, np.ones(-(-rows // batch_size)))
    with backend.running():
        backend.run_epoch(compiled_step(backend, objective), state, data, plan, hyper)
    return list(texts)


@pytest.mark.parametrize(
    ("sizes", "optimizer"),
    [*((LARGE, name) for name in OPTIMIZERS), (SMALL, "adam")],
    ids=[*OPTIMIZERS, "a small step"],
)
def test_a_text_serves_any_number_of_rows_and_any_width(texts, sizes, optimizer):
    with cut(sizes):
        full, rest = write(texts, (40, 20, 9), optimizer, rows=80, batch_size=50)
        others = write(texts, (37, 25, 8), optimizer, rows=90, batch_size=60)
    assert full == rest
    assert others == [full] * 2


def test_so_does_that_of_a_default_run(texts):
    full, rest = write(texts, (784, 300, 10), "adam")
    assert write(texts, (784, 300, 10), "adam", rows=300, batch_size=100) == [full]
    assert write(texts, (500, 260, 7), "adam", rows=250, batch_size=200) == [full] * 2
    assert full == rest


def test_what_differs_has_a_text_of_its_own(texts):
    made = [
        write(texts, (12, 9, 3), rows=20, **options)[0]
        for options in (
            {},
            {"dtype": "float64"},
            {"optimizer": "adam"},
            {"l2": True},
            {"l1": True},
            {"clip_norm": 1.0},
            {"gradient_norms": False},
            {"dropout": (0.5,)},
            {"frozen": 1},
        )
    ]
    assert len(set(made)) == len(made)


def test_numbers_of_the_objective_are_in_the_tables(texts):
    one, other = (write(texts, (12, 9, 3), rows=20, clip_norm=norm)[0] for norm in (0.123, 4.5))
    assert one == other
    assert "0.123" not in one


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_texts_compile_without_a_warning(texts, compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    options = {"optimizer": "adam", "clip_norm": 1.0, "l1": True, "l2": True, "dropout": (0.3, 0.3)}
    with cut(LARGE):
        (text, _) = write(texts, (20, 30, 40, 3), **options, rows=50, batch_size=30)
    (tmp_path / "step.c").write_text(text)
    flags = [flag for flag in FLAGS if flag not in ("-shared", "-ftree-vectorize")]
    command = [compiler, *flags, "-Wall", "-Wextra", *UNUSED, "-Werror", "-fsyntax-only", "step.c"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def test_integers_of_blas_have_its_width(texts, monkeypatch):
    for bits, integer in ((64, "long long"), (32, "int")):
        blas = Blas("none", 0, 0, bits, Threads(int, int))
        monkeypatch.setattr(native, "_blas", lambda blas=blas: blas)
        assert write(texts, (4, 3), rows=20)[0].startswith(f"typedef {integer} BlasInt;\n")
    try:
        assert numpy_blas().index_bits in (32, 64)
    except NoBlas as reason:
        pytest.skip(str(reason))
