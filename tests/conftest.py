"""Fixtures of all tests: every installed backend, one comparison, and where the data is.

Tests that are thorough run with `--all`, or where a file or folder is named.

Where the driver shows a GPU, the backends that know CUDA take part a second time, on it; the
tests that are not for a GPU see none, so that they do what they do everywhere.
"""

import os
import signal
import tempfile
from itertools import compress
from pathlib import Path

import numpy as np
import pytest

from tests.memory import Memory
from tests.thorough import VARIABLE, is_thorough, runs_all
from xpmlp.backends import registry
from xpmlp.backends.base import Backend
from xpmlp.backends.cuda_driver import Driver, query_driver
from xpmlp.backends.registry import BACKENDS, load
from xpmlp.errors import BackendUnavailableError

CPU_BACKENDS = tuple(name for name, entry in BACKENDS.items() if "cpu" in entry.devices)
UNCOMPILED_BACKENDS = tuple(name for name in CPU_BACKENDS if name != "jax")
CUDA_BACKENDS = tuple(name for name, entry in BACKENDS.items() if "cuda" in entry.devices)
HERE = Path(__file__).parent
VISIBLE = "CUDA_VISIBLE_DEVICES"
ASK_THE_DRIVER = ("backends/test_registry.py", "backends/test_gpu_trouble.py")
HIDDEN = Driver(0, (0, 0), "no NVIDIA driver is installed (as far as this test may know)")
DRIVER = query_driver()  # initialises the driver, which then no longer heeds the variable
if DRIVER.gpus:
    # Else JAX takes most of the GPU's memory for itself, and the other libraries have little.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run the thorough tests too")


def pytest_configure(config):
    os.environ[VARIABLE] = "1" if runs_all(config) else ""
    if not hasattr(config, "workerinput"):
        share_what_jax_compiles(config)
        share_what_we_compile(config)


def share_what_jax_compiles(config):
    """Let the processes of a run share it, and find again what they have let go of."""
    folder = tempfile.TemporaryDirectory(prefix="xpmlp-tests-jax-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder.name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def share_what_we_compile(config):
    """Keep it away from the user's own: in a folder that the processes of a run share."""
    folder = tempfile.TemporaryDirectory(prefix="xpmlp-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_CACHE_HOME"] = folder.name


def pytest_collection_modifyitems(config, items):
    if runs_all(config):
        return
    thorough = list(map(is_thorough, items))
    config.hook.pytest_deselected(items=list(compress(items, thorough)))
    items[:] = [item for item, late in zip(items, thorough, strict=True) if not late]


@pytest.fixture(scope="session", autouse=True)
def heard_signals():
    """Hear Ctrl-C and its kin, also in programs that tests start, where the suite was told not to.

    A shell's `&` has SIGINT ignored, `nohup` SIGHUP, and a run leaves what is ignored so.
    """
    ignored = [name for name in signal.valid_signals() if signal.getsignal(name) == signal.SIG_IGN]
    for name in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)} & set(ignored):
        interrupt = signal.default_int_handler if name == signal.SIGINT else signal.SIG_DFL
        signal.signal(name, interrupt)


@pytest.fixture(scope="session")
def memory():
    return Memory()


@pytest.fixture(autouse=True)
def small_process(memory):
    """Let go what libraries keep of the tests before."""
    yield
    memory.keep_small()


def is_for_gpus(path: Path, marked: bool) -> bool:
    """Tell whether the tests of a file, or one that is marked `cuda`, see the GPUs there are."""
    name = path.relative_to(HERE).as_posix()
    return marked or name.startswith("cuda/") or name in ASK_THE_DRIVER


def hide_gpus(patch: pytest.MonkeyPatch) -> None:
    """Let `auto` find no GPU, here and in programs that tests start."""
    patch.setattr(registry, "query_driver", lambda: HIDDEN)
    patch.setenv(VISIBLE, "")


def show_gpus(patch: pytest.MonkeyPatch, visible: str | None) -> None:
    """Undo that; visible: the variable as it was."""
    patch.setattr(registry, "query_driver", query_driver)
    if visible is None:
        patch.delenv(VISIBLE, raising=False)
    else:
        patch.setenv(VISIBLE, visible)


@pytest.fixture(scope="session", autouse=True)
def hidden_gpus():
    """Hide the GPUs from all tests, and return the variable that tells which are visible."""
    visible = os.environ.get(VISIBLE)
    with pytest.MonkeyPatch.context() as patch:
        if DRIVER.gpus:
            hide_gpus(patch)
        yield visible


@pytest.fixture(autouse=True)
def shown_gpus(request, monkeypatch, hidden_gpus):
    """Show them to the tests that are for them."""
    marked = request.node.get_closest_marker("cuda") is not None
    if DRIVER.gpus and is_for_gpus(request.node.path, marked):
        show_gpus(monkeypatch, hidden_gpus)


@pytest.fixture
def away_without_gpu(monkeypatch, tmp_path):
    """Work in an empty folder, on a machine whose driver is missing."""
    driver = registry.Driver(0, (0, 0), "no NVIDIA driver is installed")
    monkeypatch.setattr(registry, "query_driver", lambda: driver)
    monkeypatch.chdir(tmp_path)


def load_or_skip(name: str, dtype: str = "float64", device: str = "cpu") -> Backend:
    if name not in ("numpy", "array-api-strict"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    try:
        return load(name, device, dtype)
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def like(backend: Backend, dtype: str) -> Backend:
    """Return the same library on the same device in a dtype."""
    return load_or_skip(backend.name, dtype, backend.device)


def places(gpus: int) -> list:
    """Return the (name, device) of every backend as parameters; those on a GPU are marked."""
    on_cpu = [pytest.param((name, "cpu"), id=name) for name in CPU_BACKENDS]
    if not gpus:
        return on_cpu
    return on_cpu + [
        pytest.param((name, "cuda:0"), id=f"{name}-cuda", marks=pytest.mark.cuda)
        for name in CUDA_BACKENDS
    ]


@pytest.fixture(params=places(DRIVER.gpus))
def backend(request) -> Backend:
    """Every installed backend on the CPU, and on a GPU where there is one, in float64."""
    name, device = request.param
    return load_or_skip(name, device=device)


@pytest.fixture
def xp(backend):
    """The namespace of every installed backend."""
    return backend.xp


@pytest.fixture
def assert_matches():
    """Compare a device array with NumPy's: dtype, shape, device, values to the dtype's rounding.

    scale: how many roundings the value may have gathered; the tolerance is scale · eps.
    """

    def check(backend: Backend, actual, expected: np.ndarray, scale: float = 64.0) -> None:
        expected = np.asarray(expected)
        reference = backend.asarray(np.zeros(1, dtype=expected.dtype))
        assert actual.dtype == reference.dtype
        assert tuple(actual.shape) == expected.shape
        assert getattr(actual, "device", None) == getattr(reference, "device", None)
        eps = np.finfo(expected.dtype).eps
        np.testing.assert_allclose(backend.to_numpy(actual), expected, rtol=scale * eps)

    return check


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real MNIST and the course files, or a skip."""
    folder = os.environ.get("XPMLP_DATA_DIR")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("XPMLP_DATA_DIR does not name a folder with mnist/")
    return Path(folder).resolve()
