"""What Python hands in to train with, as a config, a data set and a backend."""

from collections.abc import Sequence
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import Selection
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError
from xpmlp.training.config import Config
from xpmlp.training.setup import backend_for, load_for, values_wished
from xpmlp.training.targets import require_backend, require_config


def dataset_of(config: Config, data: Any = None, y: Any = None) -> Dataset:
    """Return the data set that `fit` trains on: the one handed in, else what the config names.

    data, y: rows with their labels, as `Dataset.from_arrays` takes them, are split and scaled by
        the config's validation, scale, data_seed, task and dtype.
    Raises InputError for what is none.
    """
    require_config(config)
    if isinstance(y, Backend | Selection):
        raise InputError("a backend goes in by its name: xpmlp.fit(config, data, backend=backend)")
    if isinstance(data, Dataset):
        if y is not None:
            raise InputError("a Dataset has its labels: xpmlp.fit(config, data)")
        return data
    if data is None and y is None:
        return load_for(config)
    if y is None:
        raise InputError(_without_labels(data))
    if isinstance(y, str) and hasattr(type(data), "columns"):
        raise InputError(
            f"y is the name {y!r}: xpmlp.fit(config, xpmlp.load_dataset(data, label={y!r}))"
        )
    if data is None:
        raise InputError("rows come before their labels: xpmlp.fit(config, x, y)")
    return Dataset.from_arrays(
        data,
        y,
        validation=config.validation,
        scale=config.scale,
        seed=config.data_seed,
        dtype=config.dtype,
        task=config.task or values_wished(config),
    )


def _without_labels(data: Any) -> str:
    """Say what is missing beside data that are no data set."""
    if isinstance(data, str):
        return (
            f"data is the name {data!r}: xpmlp.fit(config.replace(dataset={data!r})), or "
            f"xpmlp.fit(config, xpmlp.load_dataset({data!r}))"
        )
    if isinstance(data, Backend | Selection):
        return "a backend goes in by its name: xpmlp.fit(config, backend=backend)"
    if isinstance(data, Config):
        return "of several configs xpmlp.fit_many([config, …]) trains one net each"
    kind = type(data).__name__
    if isinstance(data, Rows):
        return f"data must be an xpmlp.Dataset, got {kind}: xpmlp.fit(config, rows.x, rows.y)"
    if hasattr(type(data), "columns"):
        return (
            f"data must be an xpmlp.Dataset, got {kind} without labels: xpmlp.fit(config, x, y), "
            "or xpmlp.fit(config, xpmlp.load_dataset(data, label=NAME)) where a column is the label"
        )
    if isinstance(data, tuple) and len(data) == 2:
        return "data must be an xpmlp.Dataset, got a pair: xpmlp.fit(config, x, y)"
    return (
        f"data must be an xpmlp.Dataset, got {kind} without labels: xpmlp.fit(config, x, y), or "
        "xpmlp.fit(config, data) with what xpmlp.load_dataset or xpmlp.Dataset.from_arrays returns"
    )


def require_configs(configs: Any) -> Sequence[Config]:
    """Return the configs of `fit_many` as a list. Raises InputError for what are none."""
    if isinstance(configs, Config):
        raise InputError(
            "fit_many takes a list of configs, as xpmlp.fit_many(config.members()); "
            "xpmlp.fit(config) trains one net"
        )
    if not isinstance(configs, Sequence) or not configs:
        got = "none" if isinstance(configs, Sequence) else type(configs).__name__
        raise InputError(f"fit_many takes a list of one config or more, got {got}")
    return [require_config(config) for config in configs]


def backend_of(config: Config, backend: Any = None) -> Backend:
    """Return the backend handed in, else that which the config names.

    Raises InputError for what is none.
    """
    return backend_for(config) if backend is None else require_backend(backend)
