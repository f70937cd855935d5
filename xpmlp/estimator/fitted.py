"""The net of a fitted estimator: its outputs for rows, and what is pickled of it."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from xpmlp.backends.base import Backend, blocks
from xpmlp.backends.locate import Home
from xpmlp.backends.registry import select_backend
from xpmlp.estimator.arrays import (
    backend_at,
    by_columns,
    check_same_home,
    dense,
    floating_dtypes,
    handed_over,
    home_of,
    passes_unchanged,
    to_host,
)
from xpmlp.estimator.settings import activation_names
from xpmlp.estimator.targets import Targets
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import hidden_activations, propagate
from xpmlp.training.evaluation import rows_at_once
from xpmlp.types import Affine, Params


class FittedNet(BaseEstimator):  # type: ignore[misc]
    """What an estimator can do once it has weights."""

    _targets: Targets
    coefs_: list[Any]
    intercepts_: list[Any]

    def _backend(self, home: Home | None, dtype: str) -> Backend:
        if home is not None:
            return backend_at(home, dtype)
        selection = select_backend(self.backend, self.device, dtype)
        if selection.fallback_reason:
            reason = f"no CUDA: {selection.fallback_reason}; computing on the CPU"
            warnings.warn(reason, RuntimeWarning, stacklevel=6)
        return selection.backend

    def _params(self) -> Params:
        """Return the fitted parameters on the host."""
        pairs = zip(map(to_host, self.coefs_), map(to_host, self.intercepts_), strict=True)
        return tuple(Affine(W, b) for W, b in pairs)

    def _outputs(self, X: Any, method: str) -> Any:
        """Return probabilities or values (N, O) of the net `coefs_`, `intercepts_`.

        They are where X is. method: whom X was given to.
        """
        check_is_fitted(self, "coefs_")
        home = home_of(X)
        if get_config()["array_api_dispatch"]:
            check_same_home(type(self).__name__, method, home_of(self.coefs_[0]), home)
        if hasattr(self, "feature_names_in_") or not passes_unchanged(X, self.n_features_in_):
            X = validate_data(
                self,
                X,
                accept_sparse=["csr", "csc"],
                dtype=floating_dtypes(X),
                reset=False,
            )
        x, params = dense(X), self._params()
        backend = self._backend(home, str(params[0].W.dtype))
        with backend.running():
            pieces = self._pieces(backend, backend.put(params), x)
            if home is not None:
                return handed_over(backend, backend.xp.concat(list(pieces)))
            hosts = list(map(backend.to_numpy, pieces))
            together = np.empty((x.shape[0], hosts[0].shape[1]), hosts[0].dtype)
            return np.concatenate(hosts, out=together)

    def _pieces(self, backend: Backend, params: Params, x: Any) -> Iterator[Any]:
        """Yield the outputs of rows x (N, D), so many rows at once, on the backend's device."""
        xp, loss = backend.xp, LOSSES[self._targets.loss]
        names = hidden_activations(activation_names(self.activation), len(params) - 1)
        for block in blocks(x.shape[0], rows_at_once(backend.device, params)):
            logits, _ = propagate(xp, params, backend.asarray(x[block, :]), names)
            yield loss.predict(xp, by_columns(logits))

    def _decoded(self, outputs: Any) -> Any:
        """Return predictions, where the outputs are, of labels that are numbers or of values."""
        home, predicted = home_of(outputs), self._targets.decode(to_host(outputs))
        if home is None or predicted.dtype.kind not in "biuf":
            return predicted
        dtype = str(to_host(outputs[:0, ...]).dtype)
        return handed_over(backend_at(home, dtype), predicted)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: NumPy arrays, and nothing of a device."""
        state = dict(super().__getstate__())
        state.pop("_problem", None)
        for name in ("coefs_", "intercepts_"):
            if name in state:
                state[name] = [to_host(leaf) for leaf in state[name]]
        return state

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: sparse rows and other libraries' arrays are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
