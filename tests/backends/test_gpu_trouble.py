"""A GPU whose libraries don't suit it: what the one line says, and which command helps."""

import importlib.metadata
import warnings

import pytest

from tests.conftest import load_or_skip
from xpmlp.backends import registry
from xpmlp.backends.cuda_driver import Driver
from xpmlp.backends.cupy import install as cupy_install
from xpmlp.backends.registry import select_backend
from xpmlp.errors import BackendUnavailableError, RunError

CUDA_11, CUDA_12, CUDA_13 = (Driver(1, version, "") for version in ((11, 4), (12, 4), (13, 0)))
BANNER = "\n====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: {}\n====\n"


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the driver, CuPy's packages, and how CuPy fails to compute."""

    def set_up(driver, packages=(), error=None):
        def version(name):
            if name in packages:
                return "14.2.0"
            raise importlib.metadata.PackageNotFoundError(name)

        def load(*names):
            assert error, "the library was imported, though it can't suit the driver"
            raise error

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(registry, "query_driver", lambda: driver)
        monkeypatch.setattr(registry, "load", load)

    return set_up


def refusal(backend="cupy"):
    """Return the one line that is said of a backend."""
    with pytest.raises(BackendUnavailableError) as caught:
        select_backend(backend, "cuda", fallback=False)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(registry._pip(), "pip")


def caused(error, cause):
    error.__cause__ = cause
    return error


def test_a_cupy_for_a_newer_cuda_than_the_drivers_is_never_imported(machine):
    machine(CUDA_12, ["cupy-cuda13x"])
    assert refusal() == (
        "backend cupy can't run on device cuda: cupy: cupy-cuda13x 14.2.0 is built for CUDA 13, "
        "and the driver supports CUDA 12.4 (update the driver or change the build); install one "
        "with: pip uninstall -y cupy-cuda13x && pip install 'cupy-cuda12x[ctk]>=14'"
    )


def test_two_cupys_at_once_are_both_removed(machine):
    machine(CUDA_13, ["cupy-cuda12x", "cupy-cuda13x"])
    line = refusal()
    assert "cupy-cuda12x and cupy-cuda13x are installed at once, and overwrite each" in line
    assert line.endswith(
        "pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install 'cupy-cuda13x[ctk]>=14'"
    )


@pytest.mark.parametrize(
    ("error", "library"),
    [
        (
            caused(
                ImportError(BANNER.format("libcublas.so.12: cannot open")),
                ImportError("libcublas.so.12: cannot open shared object file: No such file"),
            ),
            "libcublas.so.12",
        ),
        (
            RuntimeError('Failure finding "libnvrtc.so.12 or libnvrtc.so.11": No such file:\n x'),
            "libnvrtc.so.12",
        ),
        (
            RuntimeError("CuPy failed to load libnvrtc.so.12: OSError: libnvrtc.so.12: cannot"),
            "libnvrtc.so.12",
        ),
        (
            FileNotFoundError("Could not find module 'nvrtc64_120_0.dll' (or one of its"),
            "nvrtc64_120_0.dll",
        ),
    ],
)
def test_a_missing_library_of_nvidia_is_named_with_what_brings_it(machine, error, library):
    machine(CUDA_13, ["cupy-cuda12x"], error)
    assert refusal() == (
        f"backend cupy can't run on device cuda: cupy: the library {library} is missing; "
        "install one with: pip install 'cupy-cuda12x[ctk]>=14'"
    )


def test_a_driver_too_old_for_every_build_must_be_updated(machine):
    machine(CUDA_11, ["cupy-cuda12x"])
    line = refusal()
    assert "cupy-cuda12x 14.2.0 is built for CUDA 12, and the driver supports CUDA 11.4" in line
    assert line.endswith(
        "update NVIDIA's driver (https://www.nvidia.com/drivers) to one for CUDA 12 or newer"
    )


def test_a_cupy_that_was_compiled_here_gives_way_to_a_wheel(machine):
    machine(CUDA_13, ["cupy"], RuntimeError("cudaErrorInsufficientDriver: CUDA driver version"))
    assert refusal().endswith(
        "cupy: cudaErrorInsufficientDriver: CUDA driver version; install one with: "
        "pip uninstall -y cupy && pip install 'cupy-cuda13x[ctk]>=14'"
    )


def test_a_library_that_is_absent_is_called_so(machine):
    absent = ModuleNotFoundError("No module named 'torch'", name="torch")
    machine(CUDA_13, [], caused(BackendUnavailableError("backend torch can't be"), absent))
    line = refusal("torch")
    assert "cuda: torch: torch is not installed; install one with: pip install" in line


def test_a_full_gpu_is_told_as_such(machine):
    full = caused(RunError("out of memory on cuda:0 with torch"), RuntimeError("CUDA error 2"))
    machine(CUDA_13, [], full)
    assert "torch: out of memory on cuda:0 with torch; " in refusal("torch")


def test_packages_are_found_by_name(monkeypatch):
    monkeypatch.setattr(cupy_install, "CUDA_OF_PACKAGE", {"numpy": 12, "no-such-package": 13})
    assert cupy_install.installed_packages() == {"numpy": importlib.metadata.version("numpy")}


@pytest.mark.parametrize(
    ("driver", "major", "too_old"),
    [
        (CUDA_12, 13, True),
        (CUDA_12, 12, False),
        (CUDA_13, 12, False),
        (CUDA_13, 13, False),
        (Driver(0, (0, 0), "no driver"), 13, False),
    ],
)
def test_a_driver_serves_all_builds_up_to_its_own_major_version(driver, major, too_old):
    assert bool(driver.too_old_for(major)) == too_old


@pytest.mark.parametrize(
    ("built", "driver", "reason"),
    [
        (None, CUDA_13, "is built without CUDA"),
        ("13.0", CUDA_12, "is built for CUDA 13, and the driver supports CUDA 12.4"),
        ("12.8", CUDA_12, "is built for CUDA 12.8 and sees no GPU"),
    ],
)
def test_pytorch_says_why_it_has_no_gpu(monkeypatch, built, driver, reason):
    load_or_skip("torch")
    import torch

    def available():
        warnings.warn("CUDA initialization: the driver is too old", stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", available)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr("xpmlp.backends.torch.backend.query_driver", lambda: driver)
    with pytest.raises(BackendUnavailableError) as caught:
        registry.load("torch", "cuda:0", "float32")
    assert str(caught.value).startswith(f"torch {torch.__version__} {reason}")


@pytest.mark.parametrize(
    ("plugins", "driver", "reason"),
    [
        ([], CUDA_13, "has no plugin for CUDA"),
        (
            [13],
            CUDA_12,
            "has a plugin that is built for CUDA 13, and the driver supports CUDA 12.4",
        ),
        ([12], CUDA_13, "can't use its plugin for CUDA 12: no cuDNN"),
        ([13, 12], CUDA_13, "can't use its plugin for CUDA 13: no cuDNN"),
    ],
)
def test_jax_says_why_it_has_no_gpu(monkeypatch, plugins, driver, reason):
    load_or_skip("jax")
    import jax

    def devices(kind):
        raise RuntimeError("no cuDNN")

    names = [f"jax_cuda{major}_plugin" for major in plugins]
    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setattr("xpmlp.backends.jax_backend.find_spec", lambda name: name in names)
    monkeypatch.setattr("xpmlp.backends.jax_backend.query_driver", lambda: driver)
    with pytest.raises(BackendUnavailableError) as caught:
        registry.load("jax", "cuda:0", "float32")
    assert str(caught.value).startswith(f"jax {jax.__version__} {reason}")


@pytest.mark.parametrize(
    "words", ["DefaultCPUAllocator: can't allocate", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_pytorch_runs_out_of_memory_in_several_ways(words):
    backend = load_or_skip("torch")
    assert backend.is_out_of_memory(RuntimeError(f"[enforce fail] {words}: 8 GiB"))
    assert not backend.is_out_of_memory(RuntimeError("shapes differ"))


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_an_array_larger_than_the_memory_is_out_of_memory(name):
    backend = load_or_skip(name)
    with (
        pytest.raises(RunError, match=f"out of memory on cpu with {name}; try a smaller batch"),
        backend.running(),
    ):
        backend.synchronize(backend.xp.zeros(10**14))
