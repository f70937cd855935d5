"""From names to backends: what is chosen, what falls back, what is refused and why."""

import sys

import numpy as np
import pytest

from tests.conftest import CPU_BACKENDS, load_or_skip
from xpmlp.backends import registry
from xpmlp.backends.cuda_driver import Driver, query_driver
from xpmlp.backends.cupy import install as cupy_install
from xpmlp.backends.registry import select_backend
from xpmlp.errors import BackendUnavailableError, InputError

NO_DRIVER = Driver(0, (0, 0), "no NVIDIA driver is installed (libcuda.so.1 is missing)")
ONE_GPU = Driver(1, (13, 0), "")
OLD_GPU = Driver(1, (12, 4), "")


@pytest.fixture(autouse=True)
def no_cupy(monkeypatch):
    """Whatever is installed here, no package of CuPy seems to be."""
    monkeypatch.setattr(cupy_install, "installed_packages", dict)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """What stands for a backend in one test is not kept for the next."""
    monkeypatch.setattr(registry, "KEPT", type(registry.KEPT)())


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(registry, "query_driver", lambda: NO_DRIVER)


@pytest.fixture
def one_gpu(monkeypatch):
    """A machine with a GPU whose array libraries are replaced by `probes`: name -> outcome."""
    monkeypatch.setattr(registry, "query_driver", lambda: ONE_GPU)
    probes: dict[str, object] = {}

    def probed(name, device, dtype, precision):
        outcome = probes[name]
        if isinstance(outcome, Exception):
            raise outcome
        return (name, device, dtype)

    monkeypatch.setattr(registry, "_probed", probed)
    return probes


def test_auto_on_the_cpu_is_numpy(no_gpu):
    for device in ("auto", "cpu"):
        selection = select_backend("auto", device)
        assert selection.backend.name == "numpy"
        assert selection.backend.device == "cpu"
        assert selection.fallback_reason is None
        assert selection.device_requested == device


def test_cuda_without_a_gpu_falls_back_with_reason_and_remedy(no_gpu):
    selection = select_backend("auto", "cuda")
    assert selection.backend.name == "numpy"
    assert selection.device_requested == "cuda"
    assert "no NVIDIA driver is installed" in selection.fallback_reason
    assert "https://www.nvidia.com/drivers" in selection.fallback_reason


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_named_library_falls_back_to_its_own_cpu(name, no_gpu):
    load_or_skip(name)
    selection = select_backend(name, "cuda:0")
    assert (selection.backend.name, selection.backend.device) == (name, "cpu")
    assert "no NVIDIA driver" in selection.fallback_reason
    assert select_backend(name, "auto").fallback_reason is None


def test_no_fallback_refuses(no_gpu):
    with pytest.raises(BackendUnavailableError, match="no NVIDIA driver"):
        select_backend("auto", "cuda", fallback=False)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cupy_is_never_replaced(device, no_gpu):
    with pytest.raises(BackendUnavailableError, match="backend cupy can't run on device"):
        select_backend("cupy", device)


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("numpy", "cuda", "does not run on cuda; choose --backend auto, cupy, torch or jax"),
        ("array-api-strict", "cuda:1", "does not run on cuda"),
        ("cupy", "cpu", "does not run on cpu"),
    ],
)
def test_impossible_pairs(backend, device, message):
    with pytest.raises(InputError, match=message):
        select_backend(backend, device)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nunpy", "auto"), r"unknown backend 'nunpy' \(did you mean 'numpy'\?\); choose one of: "),
        (("auto", "gpu"), "unknown device 'gpu'.*auto, cpu, cuda, cuda:N"),
        (("auto", "cuda:x"), "unknown device 'cuda:x'"),
        (("auto", "cpu", "float16"), "unknown dtype 'float16'.*float32, float64"),
    ],
)
def test_unknown_names_list_the_valid_ones(names, message):
    with pytest.raises(InputError, match=message):
        select_backend(*names)


def test_the_first_library_that_computes_is_taken(one_gpu):
    one_gpu |= {"cupy": None, "torch": None, "jax": None}
    assert select_backend("auto", "auto").backend == ("cupy", "cuda:0", "float32")
    one_gpu["cupy"] = ImportError("no CuPy\nmore lines")
    assert select_backend("auto", "cuda").backend == ("torch", "cuda:0", "float32")
    one_gpu["torch"] = RuntimeError("Torch not compiled with CUDA enabled.")
    assert select_backend("auto", "cuda:0", "float64").backend == ("jax", "cuda:0", "float64")


def test_every_reason_is_told_when_no_library_computes(one_gpu):
    one_gpu |= {
        "cupy": ImportError("no CuPy\nmore lines"),
        "torch": RuntimeError("Torch not compiled with CUDA enabled."),
        "jax": RuntimeError("Unknown backend cuda"),
    }
    reason = select_backend("auto", "cuda").fallback_reason
    assert reason.startswith(
        "cupy: no CuPy; torch: Torch not compiled with CUDA enabled; "
        "jax: Unknown backend cuda; install one with: "
    )
    assert reason.endswith("-m pip install 'cupy-cuda13x[ctk]>=14'")
    assert "\n" not in reason
    assert select_backend("auto", "auto").fallback_reason == reason


def test_a_device_number_that_is_not_there(one_gpu):
    with pytest.raises(BackendUnavailableError, match="there is no GPU 3; the driver shows 1"):
        select_backend("auto", "cuda:3", fallback=False)


@pytest.mark.parametrize(
    ("name", "driver", "package"),
    [
        ("cupy", OLD_GPU, "'cupy-cuda12x[ctk]>=14'"),
        ("cupy", Driver(1, (13, 1), ""), "'cupy-cuda13x[ctk]>=14'"),
        ("cupy", NO_DRIVER, "'cupy-cuda13x[ctk]>=14'"),
        ("jax", OLD_GPU, "'jax[cuda12]'"),
        ("jax", ONE_GPU, "'jax[cuda13]'"),
        ("jax", NO_DRIVER, "jax"),
        ("torch", ONE_GPU, "--force-reinstall torch"),
        ("torch", OLD_GPU, f"--force-reinstall torch --index-url {registry.TORCH_FOR_CUDA_12}"),
        ("torch", NO_DRIVER, "torch"),
    ],
)
def test_the_drivers_cuda_decides_what_pip_installs(name, driver, package):
    assert registry._package(name, driver) == package


def test_a_missing_wheel_says_how_to_get_it(monkeypatch, no_gpu):
    monkeypatch.setitem(sys.modules, "array_api_strict", None)
    monkeypatch.delitem(sys.modules, "xpmlp.backends.strict_backend", raising=False)
    expected = r"\(array_api_strict is not installed\); .* -m pip install array-api-strict$"
    with pytest.raises(BackendUnavailableError, match=expected):
        select_backend("array-api-strict")


def test_a_probe_with_a_wrong_product_is_refused(monkeypatch):
    backend = load_or_skip("numpy")
    monkeypatch.setattr(backend, "compile", lambda make: lambda a, b: make(backend.xp)(a, b) + 1)
    monkeypatch.setattr(registry, "load", lambda *names: backend)
    with pytest.raises(BackendUnavailableError, match="came out wrong"):
        registry._probed("numpy", "cuda:0", "float32")
    monkeypatch.undo()
    assert registry._probed("numpy", "cpu", "float32").name == "numpy"


def test_the_driver_is_asked_without_a_library_and_never_raises(monkeypatch):
    driver = query_driver()
    assert (driver.gpus > 0) == (driver.problem == "")

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert query_driver() == NO_DRIVER or sys.platform == "win32"


@pytest.mark.parametrize(
    ("code", "count", "expected"),
    [
        (0, 2, Driver(2, (12, 4), "")),
        (0, 0, Driver(0, (12, 4), "no GPU is visible (see CUDA_VISIBLE_DEVICES)")),
        (
            100,
            0,
            Driver(0, (12, 4), "no GPU is visible (see CUDA_VISIBLE_DEVICES) (CUDA error 100)"),
        ),
        (999, 0, Driver(0, (12, 4), "the driver failed (CUDA error 999)")),
    ],
)
def test_what_the_driver_answers(monkeypatch, code, count, expected):
    class Library:
        def cuDriverGetVersion(self, version):
            version._obj.value = 12040

        def cuInit(self, flags):
            assert flags == 0
            return code

        def cuDeviceGetCount(self, number):
            number._obj.value = count
            return 0

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library())
    assert query_driver() == expected


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_a_backend_describes_itself_and_moves_arrays(name):
    backend = load_or_skip(name, "float32")
    about = backend.describe()
    assert about["backend"] == name
    assert about["device"] == "cpu"
    assert about["dtype"] == "float32"
    assert all(about.values())
    assert backend.memory() > 0
    tree = (np.arange(3.0), None, (np.array([1, 2]), np.float64(0.5)))
    floats, nothing, (integers, scalar) = backend.fetch(backend.put(tree))
    assert nothing is None
    assert (floats.dtype, scalar.dtype, scalar.shape) == (np.float32, np.float32, ())
    assert integers.dtype.kind == "i"
    np.testing.assert_array_equal(floats, [0, 1, 2])
    np.testing.assert_array_equal(integers, [1, 2])
    assert backend.is_out_of_memory(MemoryError())
    assert not backend.is_out_of_memory(ValueError("no"))


def test_read_only_host_arrays_are_taken(backend):
    host = np.arange(4.0)
    host.flags.writeable = False
    np.testing.assert_array_equal(backend.to_numpy(backend.asarray(host)), host)
