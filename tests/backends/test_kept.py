"""Backends on a GPU are kept by the thread that uses them, on the stand-in."""

import threading

import pytest

from tests.fake_cuda import install
from xpmlp.backends import registry
from xpmlp.backends.cuda_driver import Driver
from xpmlp.backends.cupy import install as cupy_install
from xpmlp.backends.locate import Home
from xpmlp.backends.registry import kept, select_backend
from xpmlp.estimator.arrays import backend_at

HOME = Home("cupy", "cuda:0")


def test_a_call_takes_the_backend_of_the_call_before(cuda):
    backend = backend_at(HOME, "float64")
    assert backend_at(HOME, "float64") is backend
    with backend.running():
        assert backend_at(HOME, "float64").kernels is backend.kernels


@pytest.mark.parametrize(
    "names",
    [("cuda:1", "float64"), ("cuda:0", "float32"), ("cuda:0", "float32", "tf32")],
    ids=" ".join,
)
def test_other_names_are_another_backend(cuda, names):
    backend = backend_at(HOME, "float64")
    other = kept("cupy", *names)
    assert other is not backend
    assert (other.device, other.dtype, other.matmul_precision) == (*names, "full")[:3]
    assert kept("cupy", *names) is other


def test_threads_share_none(cuda):
    found = [backend_at(HOME, "float64")]
    thread = threading.Thread(target=lambda: found.append(backend_at(HOME, "float64")))
    thread.start()
    thread.join()
    ours, theirs = found
    assert ours is not theirs
    assert ours.stream.ptr != theirs.stream.ptr
    assert backend_at(HOME, "float64") is ours


def test_one_that_has_been_probed_is_taken_again_without(cuda, monkeypatch):
    monkeypatch.setattr(registry, "query_driver", lambda: Driver(1, (13, 0), ""))
    monkeypatch.setattr(cupy_install, "installed_packages", dict)
    unprobed = backend_at(HOME, "float32")
    first, second = (select_backend("auto", "auto").backend for _ in range(2))
    assert first is second is unprobed
    assert cuda.graph_launches == 1
    select_backend("auto", "auto", matmul_precision="tf32")
    assert cuda.graph_launches == 2


def test_on_a_cpu_nothing_is_kept():
    home = Home("numpy", "cpu")
    assert backend_at(home, "float64") is not backend_at(home, "float64")


def test_nothing_of_a_stand_in_outlives_it(cuda):
    backend = backend_at(HOME, "float64")
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        assert type(backend_at(HOME, "float64")) is not type(backend)
    assert backend_at(HOME, "float64") is backend
