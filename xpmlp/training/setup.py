"""From a config to what trains: its data, its backend, a trainer for each net."""

import warnings
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from xpmlp.backends.base import Backend
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset
from xpmlp.data.registry import dataset_names, load_dataset
from xpmlp.errors import InputError
from xpmlp.training.callbacks import callbacks_of
from xpmlp.training.compiling import decide
from xpmlp.training.config import Config
from xpmlp.training.members import Members
from xpmlp.training.own import kind_of, shared_by
from xpmlp.training.problem import Problem, Shared, net_of
from xpmlp.training.step import Objective
from xpmlp.training.targets import LOSSES_OF, require_config
from xpmlp.training.trainer import Trainer
from xpmlp.training.widths import may_widen, widened


def load_for(config: Config) -> Dataset:
    """Load the data set that a config names, split and scaled as it says.

    A loss that fits values alone makes a table's whole numbers values, not classes.
    """
    values = None if config.dataset in dataset_names() else values_wished(config)
    return load_dataset(
        config.dataset,
        data_dir=config.data_dir,
        validation=config.validation,
        scale=config.scale,
        seed=config.data_seed,
        dtype=config.dtype,
        label=config.label,
        task=config.task or values,
        features=config.features,
        drop=config.drop,
        header=None if config.header is None else config.header == "yes",
        max_unpacked=config.max_unpacked,
    )


def values_wished(config: Config) -> str | None:
    """Return `regression` where the loss of a config fits values, else None."""
    return "regression" if config.loss in LOSSES_OF["regression"] else None


def backend_for(config: Config) -> Backend:
    """Return the backend that a config names; a fallback to the CPU is a RuntimeWarning."""
    selection = select_backend(
        config.backend,
        config.device,
        config.dtype,
        matmul_precision=config.matmul_precision,
    )
    if selection.fallback_reason:
        reason = f"no CUDA: {selection.fallback_reason}; training on the CPU"
        warnings.warn(reason, RuntimeWarning, stacklevel=3)
    return selection.backend


def make_members(
    configs: Sequence[Config],
    data: Dataset,
    backend: Backend,
    *,
    initials: Sequence[Any] = (),
    callbacks: Any = (),
    kind: type[Trainer] = Trainer,
) -> Members:
    """Return a trainer for each config; those that differ in numbers alone share one problem.

    initials: for each the weights that it begins with, as for `Trainer`, or None. kind: of
    trainer. Raises InputError where config, data and callbacks can't be used.
    """
    told = callbacks_of(callbacks)
    for config in configs:
        refuse_seeds(config)
    trainers = [
        kind(config, data, backend, initial=initial, problem=problem)
        for config, initial, problem in zip_longest(
            configs, initials, problems_for(configs, data, backend)
        )
    ]
    return Members(trainers, told)


def problems_for(configs: Sequence[Config], data: Dataset, backend: Backend) -> list[Problem]:
    """Return the problem of each config; those that differ in numbers alone share one.

    So do nets of several widths, where the backend has their steps run as one.
    Raises InputError as `Problem` does.
    """
    nets = [net_of(config, data) for config in configs]
    kinds = [_kind(config, *net) for config, net in zip(configs, nets, strict=True)]
    problems: list[Problem | None] = [None] * len(configs)
    for kind in dict.fromkeys(kinds):
        alike = [i for i, other in enumerate(kinds) if other == kind]
        wide = _widened(configs, nets, alike, data, backend)
        for sizes in dict.fromkeys(wide.values()):
            some = [i for i in alike if wide[nets[i][1]] == sizes]
            shared = Shared(shared_by([nets[i][0] for i in some]), sizes, len(some))
            problem = Problem(configs[some[0]], data, backend, shared=shared)
            for i in some:
                problems[i] = problem
    return [problem for problem in problems if problem]


def _kind(config: Config, objective: Objective, sizes: tuple[int, ...]) -> tuple[Any, ...]:
    """Return what nets of one kind have alike: all but numbers, and the widths of hidden layers."""
    ends = len(sizes), sizes[0], sizes[-1]
    return kind_of(objective), ends, config.compile, config.threads, config.tiles


def _widened(
    configs: Sequence[Config],
    nets: Sequence[tuple[Objective, tuple[int, ...]]],
    alike: Sequence[int],
    data: Dataset,
    backend: Backend,
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return the widths at which nets of one kind train; steps of a processor are of one net."""
    own = [nets[i][1] for i in alike]
    first, (objective, _) = alike[0], nets[alike[0]]
    apart = decide(configs[first], backend, max(own), len(data.train), len(own)).compilation
    if apart or not may_widen(objective) or len(set(own)) == 1:
        return {sizes: sizes for sizes in own}
    return widened(own)


def refuse_seeds(config: Config) -> None:
    """Raise InputError for what is no config, or one of several seeds where one net is trained."""
    if require_config(config).seeds:
        raise InputError("a config trains one net; for seeds, pass config.members() to fit_many")
