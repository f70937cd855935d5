"""Arrays of other libraries, where scikit-learn's `array_api_dispatch` lets them pass."""

import math
from typing import Any

import numpy as np
import sklearn
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_array

from xpmlp.backends.base import Backend
from xpmlp.backends.locate import Home, locate
from xpmlp.backends.registry import kept
from xpmlp.errors import InputError
from xpmlp.leaves import map_tree

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
FEW_CLASSES = 32


def home_of(x: Any) -> Home | None:
    """Return where x stays: on its own device, or None where scikit-learn makes it NumPy's."""
    dispatch = sklearn.get_config()["array_api_dispatch"]
    if not dispatch or not is_array_api_obj(x) or is_numpy_array(x):
        return None
    return locate(x)


def backend_at(home: Home, dtype: str) -> Backend:
    """Return the backend that computes there. Raises BackendUnavailableError where none can."""
    return kept(home.backend, home.device, dtype)


def handed_over(backend: Backend, tree: Any) -> Any:
    """Return arrays, of the host too, on the backend's device, ready for who works there next."""
    with backend.running():
        placed = backend.put(tree)
        backend.synchronize(placed)
    return placed


def placed(home: Home | None, dtype: str, tree: Any) -> Any:
    """Return arrays of the host where the rows are, as their library's; None: on the host."""
    return tree if home is None else handed_over(backend_at(home, dtype), tree)


def fetched(backend: Backend, tree: Any) -> Any:
    """Return arrays of the device, or of the host, as NumPy arrays of their own."""
    with backend.running():
        return map_tree(lambda leaf: np.array(backend.to_numpy(leaf)), tree)


def floating_dtypes(x: Any) -> tuple[Any, Any]:
    """Return float64 and float32 as x's library has them."""
    xp = np if home_of(x) is None else array_namespace(x)
    return xp.float64, xp.float32


def passes_unchanged(x: Any, n_features: int) -> bool:
    """Tell whether `validate_data` would hand x back as it is, without a word.

    Most rows are such: a NumPy array (N, D) of float64 or float32, all finite. Of a few rows those
    checks take several times as long as a small net. True is certain; False leaves it open.
    """
    plain = type(x) is np.ndarray and x.ndim == 2 and x.dtype in FLOATS
    if not plain or x.shape[1] != n_features or not x.size:
        return False
    with np.errstate(all="ignore"):
        return math.isfinite(x.sum())


def dense(x: Any) -> Any:
    """Return a C-contiguous NumPy array of a dense or sparse one; other libraries' arrays stay."""
    array = x.toarray() if hasattr(x, "toarray") else x
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array


def by_columns(logits: Any) -> Any:
    """Return NumPy's logits (N, C) of few classes column by column in memory, all others as given.

    NumPy takes the softmax of ten classes along such columns in a third of the time.
    """
    few = isinstance(logits, np.ndarray) and logits.shape[1] <= FEW_CLASSES
    return np.asfortranarray(logits) if few else logits


def to_host(array: Any) -> Any:
    """Return an array of any library as NumPy's; what is no array of theirs stays."""
    if type(array) is np.ndarray or not is_array_api_obj(array) or is_numpy_array(array):
        return array
    return backend_at(locate(array), "float32").to_numpy(array)


def check_same_home(kind: str, method: str, fitted: Home | None, given: Home | None) -> None:
    """Raise InputError where a method is given another library's array, or device, than `fit`.

    A net whose weights are NumPy's, as from a pickle, takes any. kind: the estimator's class.
    """
    if fitted not in (None, given):
        raise InputError(
            f"Inputs passed to {kind}.{method}() must use the same namespace and the same device "
            f"as those passed to fit(): {_words(fitted)}, got {_words(given)}"
        )


def _words(home: Home | None) -> str:
    return "numpy" if home is None else f"{home.backend} on {home.device}"
