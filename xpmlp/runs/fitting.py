"""`fit` and `fit_many`: from configs to finished runs in one call."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from operator import attrgetter
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.interrupt import graceful_keyboard
from xpmlp.runs.progress import Bar
from xpmlp.runs.run import Run, Trainer, finish
from xpmlp.training.callbacks import Callback, callbacks_of
from xpmlp.training.config import Config
from xpmlp.training.given import backend_of, dataset_of, require_configs
from xpmlp.training.history import EpochRecord
from xpmlp.training.members import Members
from xpmlp.training.setup import make_members, refuse_seeds
from xpmlp.types import Params

AfterEpoch = Callable[[Trainer, EpochRecord], Any]
Callbacks = Callback | AfterEpoch | Iterable[Callback | AfterEpoch]


def fit(
    config: Config,
    data: Any = None,
    y: Any = None,
    *,
    backend: Backend | None = None,
    callbacks: Callbacks = (),
    verbose: bool | None = None,
    initial: Any = None,
    moments: tuple[Params, ...] | None = None,
    order: Callable[[int], np.ndarray] | None = None,
) -> Run:
    """Train a net and return the run.

    data, y: a `Dataset`, which is taken as it is; or rows and their labels, for
        `Dataset.from_arrays` with the config's validation, scale, data_seed, task and dtype; else
        loaded as the config says.
    backend: else chosen by the config's names; a fallback to the CPU is a RuntimeWarning.
    callbacks: one or several of `Callback`; a function of a trainer and the record of its epoch
        is called after each.
    verbose: whether to show a bar on stderr; None: on terminals and in notebooks.
    initial, moments, order: as for `Trainer`.

    The first Ctrl-C ends it after the epoch in progress, or within it where that takes long (its
    trainer has what is done of it, and goes on from there): the run is `interrupted`, as a
    RuntimeWarning says; a second one raises KeyboardInterrupt at once.

    Raises InputError for what can't be trained, RunError for a loss that diverges. Whatever is
    raised once it has begun has the run up to there as its `run`.
    """
    refuse_seeds(config)
    told, backend = callbacks_of(callbacks), backend_of(config, backend)
    trainer = Trainer(
        config,
        dataset_of(config, data, y),
        backend,
        initial=initial,
        moments=moments,
        order=order,
    )
    members = Members([trainer], told)
    try:
        interrupted = _train(members, verbose)
    except BaseException as error:
        with suppress(Exception):
            vars(error)["run"] = finish(trainer, evaluate=False)
        raise
    run = finish(trainer, interrupted=interrupted, failure=members.failures.get(0))
    if run.failure:
        raise run.failure
    return run


def fit_many(
    configs: Sequence[Config],
    data: Any = None,
    y: Any = None,
    *,
    backend: Backend | None = None,
    callbacks: Callbacks = (),
    verbose: bool | None = None,
) -> list[Run]:
    """Train several nets on the same rows, side by side, and return their runs in order.

    configs: of the same data and dtype; nets of the same kind (`config.members()`, other rates
    or penalties) train as one ensemble where that is faster, each as it would alone.
    data, y, verbose: as for `fit`. callbacks: as for `fit`, called for each net with its own
    trainer; one that asks to stop ends that net.

    A net whose loss diverges has its RunError as `failure`, a RuntimeWarning names it, and the
    others go on. Ctrl-C is as for `fit`.

    Raises InputError for what can't be trained, RunError where all have failed. Whatever is raised
    once it has begun has the runs up to there as its `runs`.
    """
    configs = require_configs(configs)
    backend = backend_of(configs[0], backend)
    data = dataset_of(configs[0], data, y)
    members = make_members(configs, data, backend, callbacks=callbacks, kind=Trainer)
    try:
        interrupted = _train(members, verbose)
    except BaseException as error:
        with suppress(Exception):
            vars(error)["runs"] = [finish(trainer, evaluate=False) for trainer in members.trainers]
        raise
    runs = [
        finish(
            trainer,
            interrupted=interrupted and members.is_waiting(i),
            failure=members.failures.get(i),
        )
        for i, trainer in enumerate(members.trainers)
    ]
    _tell_failures(runs)
    return runs


def _train(members: Members, verbose: bool | None) -> bool:
    """Train to the end or to Ctrl-C; tell whether that cut it short, which is a RuntimeWarning."""
    bar = Bar(members.trainers, shown=verbose)
    with graceful_keyboard() as stop, closing(bar), closing(members.epochs()) as epochs:
        stop.place = members.stopping_place
        for records in epochs:
            bar.show(records)
            if stop.requested:
                break
    if not stop.requested or members.finished:
        return False
    behind = min(members.trainers, key=attrgetter("place"))
    warnings.warn(
        f"the training was interrupted after {behind.place_text}; the run has what was learnt "
        "until then",
        RuntimeWarning,
        stacklevel=3,
    )
    return True


def _tell_failures(runs: Sequence[Run]) -> None:
    """Warn of the nets that failed. Raises the failure of the first where all have."""
    failed = {i: run for i, run in enumerate(runs) if run.failure}
    if not failed:
        return
    first = next(iter(failed.values())).failure
    assert first
    if len(failed) == len(runs):
        first.runs = runs
        raise first
    names = ", ".join(f"runs[{i}] (seed {run.config.seed})" for i, run in failed.items())
    warnings.warn(
        f"{len(failed)} of {len(runs)} nets failed: {names}; the first because {first}",
        RuntimeWarning,
        stacklevel=3,
    )
