"""From an array to the backend and the device that it is on."""

from typing import Any, NamedTuple

from array_api_compat import array_namespace, device

from xpmlp.backends.registry import BACKENDS
from xpmlp.errors import InputError

LIBRARIES = {
    "array_api_compat.numpy": "numpy",
    "array_api_compat.cupy": "cupy",
    "array_api_compat.torch": "torch",
    "jax.numpy": "jax",
    "array_api_strict": "array-api-strict",
}


class Home(NamedTuple):
    """The name of a backend, and the device as it names it."""

    backend: str
    device: str


def locate(array: Any) -> Home:
    """Return where an array of one of the backends' libraries is.

    Raises InputError, which names the libraries, for another one.
    """
    library = array_namespace(array).__name__
    if library not in LIBRARIES:
        raise InputError(f"arrays of {library} have no backend; there are {', '.join(BACKENDS)}")
    return Home(LIBRARIES[library], _device_name(device(array)))


def _device_name(device: Any) -> str:
    """Return cpu, cuda:N or the library's own name, of a device of any of the libraries."""
    if hasattr(device, "platform"):
        kind, number = device.platform, device.id
    elif hasattr(device, "id"):
        kind, number = "cuda", device.id
    else:
        return {"CPU_DEVICE": "cpu"}.get(name := _plain_name(device), name)
    return "cpu" if kind == "cpu" else f"cuda:{number}"


def _plain_name(device: Any) -> str:
    """Return what stands between the quotes of Device('name'), else the device's text."""
    return str(device).partition("'")[2].rstrip("')") or str(device)
