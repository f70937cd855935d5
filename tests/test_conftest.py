"""The fixtures of all tests: a GPU adds to them and changes nothing else."""

from tests.conftest import CPU_BACKENDS, places


def test_without_a_gpu_there_is_no_gpu_to_skip():
    assert [param.id for param in places(0)] == list(CPU_BACKENDS)
    assert not any(param.marks for param in places(0))


def test_a_gpu_adds_the_libraries_that_know_cuda():
    added = places(2)[len(CPU_BACKENDS) :]
    assert [param.id for param in added] == ["cupy-cuda", "torch-cuda", "jax-cuda"]
    assert [param.values for param in added] == [
        ((name, "cuda:0"),) for name in ("cupy", "torch", "jax")
    ]
    assert all([mark.name for mark in param.marks] == ["cuda"] for param in added)
    assert places(2)[: len(CPU_BACKENDS)] == places(0)
