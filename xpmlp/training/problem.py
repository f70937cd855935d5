"""What trainers of one kind of net on one data set share: compiled steps, rows on the device."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, Compilation
from xpmlp.backends.threads import products_on
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.streamed import Streamed
from xpmlp.errors import InputError
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.dropout import dropout_rates
from xpmlp.nn.network import hidden_activations
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.compiling import Decision, decide, decided, going_on
from xpmlp.training.config import Config
from xpmlp.training.defaults import filled
from xpmlp.training.evaluation import Evaluator
from xpmlp.training.own import trains
from xpmlp.training.step import Objective, initial_state, make_step
from xpmlp.training.streaming import Stream, nothing_of, streams
from xpmlp.training.targets import (
    check_dataset,
    make_targets,
    output_size,
    require_backend,
    resolve_loss,
)
from xpmlp.training.widths import holds
from xpmlp.types import Batch


class Shared(NamedTuple):
    """What nets that are trained by one step have alike: its objective, and the widest widths.

    members: how many they are.
    """

    objective: Objective
    sizes: tuple[int, ...]
    members: int = 1


class Share(NamedTuple):
    """What a problem has of rows that lie together.

    rows: of all. first: the number of the problem's first row. nothing: that of a row of weight 0,
    None where all problems have as many rows.
    """

    rows: Batch
    first: int
    nothing: int | None


class Problem:
    """Data, backend and net, with the steps that are compiled for them.

    objective, sizes and the decision whether to compile come from the config; nothing else of it
    counts here, so that trainers with other seeds, rates, penalties' sizes or batches share it.
    shared: in place of the config's, where nets that differ in more share it. share: where its
    nets train in one step with those of other problems, on other rows.
    like: another problem, on other rows, whose compiled steps this one takes where backend, task,
    objective and that decision are the same.
    Raises InputError where config and data don't fit together.
    """

    step: Any
    start: Any
    evaluator: Evaluator
    share: Share | None = None

    def __init__(
        self,
        config: Config,
        data: Dataset,
        backend: Backend,
        like: "Problem | None" = None,
        shared: Shared | None = None,
    ) -> None:
        self.data, self.backend = data, require_backend(backend)
        with backend.running():
            check_dataset(data)
        self.objective, self.sizes, members = shared or Shared(*net_of(config, data))
        with backend.running():
            check_activations(backend, self.objective.activations)
        self.classify = data.task == "classification"
        self.decision = decide(config, backend, self.sizes, len(data.train), members)
        self._otherwise: dict[Decision, Problem] = {}
        with self.running():
            if like is not None and like.kind == self.kind:
                self.take_steps_of(like)
            else:
                self._compile()
            self.train = self.upload(data.train)
            self.validation = self.upload(data.validation)
            self.nothing = self.upload(nothing_of(data.train))

    @property
    def compilation(self) -> Compilation | None:
        """How the steps are compiled, None where they are not."""
        return self.decision.compilation

    @property
    def how(self) -> str:
        """How the steps run on a CPU; "" where they run as the backend always has them."""
        reason = self.not_compiled
        return f"replayed, as they can't be compiled: {reason}" if reason else self.decision.how

    @property
    def not_compiled(self) -> str:
        """Why steps that were to be compiled could not be, "" where none has failed so far."""
        return str(getattr(self.step, "why_not", ""))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the backend run, its products on as many threads as are wished."""
        with self.backend.running(), products_on(self.decision.product_threads):
            yield

    def going_on(self, wish: Config, saved: Config) -> "tuple[Problem, Config]":
        """Return the problem, on the same rows, that goes on from a checkpoint, and its config.

        wish, saved: as for `compiling.going_on`, which the config comes from. Raises InputError
        where the steps were compiled, and can't be here.
        """
        config = going_on(wish, saved, self.backend)
        decision = decide(config, self.backend, self.sizes, len(self.data.train))
        return self._decided(decision), decided(config, decision)

    def _decided(self, decision: Decision) -> "Problem":
        """Return the problem whose steps run as was decided, this one where it is the same."""
        if decision.compilation == self.compilation:
            return self
        if decision not in self._otherwise:
            other = copy(self)
            other.decision, other.share = decision, None
            with other.running():
                other._compile()
            self._otherwise[decision] = other
        return self._otherwise[decision]

    def check_trains(self, objective: Objective, sizes: tuple[int, ...]) -> None:
        """Raise InputError where its steps don't train a net of such an objective and widths."""
        if not (trains(self.objective, objective) and holds(self.sizes, sizes, objective)):
            raise InputError("the problem is that of another net, or has no place for its numbers")

    @property
    def kind(self) -> tuple[Any, ...]:
        """What the compiled steps are made for."""
        return self.backend, self.classify, self.objective, self.compilation

    def take_steps_of(self, other: "Problem") -> None:
        """Use the compiled steps of another problem, of the same kind."""
        self.step, self.start, self.evaluator = other.step, other.start, other.evaluator

    def _compile(self) -> None:
        backend, objective, wish = self.backend, self.objective, self.compilation
        self.step = backend.compile(lambda xp: make_step(xp, objective, backend.across), wish)
        self.start = backend.compile(lambda xp: partial(initial_state, xp, objective))
        self.evaluator = Evaluator(backend, objective, self.classify, wish)

    @cached_property
    def test(self) -> Any:
        """The test rows, uploaded when they are first asked for."""
        return self.upload(self.data.test)

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of the training rows and of the names of the classes."""
        return fingerprint_of(self.data, self.backend.to_numpy)

    def upload(self, rows: Rows) -> Any:
        """Put rows with their targets on the device, each row in one piece of memory.

        An x that lies there already, as floats of the backend's dtype, is shared, not copied.
        Rows that stay on disk become a Stream, and else a Batch.
        """
        if streams(rows):
            return Stream(rows, self.upload)
        targets = make_targets(self.objective.loss, self.data, rows)
        weights = None if rows.weights is None else rows.weights * 1.0
        batch = self.backend.put(Batch(rows.x, targets, weights))
        xp = self.backend.xp
        return batch._replace(x=xp.astype(batch.x, getattr(xp, self.backend.dtype), copy=False))

    def multiplications(self, batch_size: int) -> int:
        """Return the multiplications of a forward pass over one batch."""
        return batch_size * sum(d * h for d, h in pairwise(self.sizes))

    @property
    def update_multiplications(self) -> int:
        """Return those of the optimiser's update."""
        shapes = list(pairwise(self.sizes))[self.objective.frozen :]
        return OPTIMIZERS[self.objective.optimizer].multiplications(shapes)


def fingerprint_of(data: Dataset, to_numpy: Callable[[Any], np.ndarray] = np.asarray) -> str:
    """Return checksums of the inputs, labels and weights that train, and of the classes' names."""
    rows, names = data.train, "\0".join(data.class_names)
    if isinstance(rows.x, Streamed):
        return (
            f"{rows.x.checksum}-{zlib.crc32(rows.y.tobytes()):08x}-{zlib.crc32(names.encode()):08x}"
        )
    arrays = [array for array in (rows.x, rows.y, rows.weights) if array is not None]
    hosts = [a if isinstance(a, np.ndarray) else to_numpy(a) for a in arrays]
    buffers: list[Any] = [*map(np.ascontiguousarray, hosts), names.encode()]
    return "-".join(f"{zlib.crc32(buffer):08x}" for buffer in buffers)


def same_labels(one: str, other: str) -> bool:
    """Tell whether two fingerprints are of rows with the same labels; inputs may be rounded."""
    return one.split("-")[1:] == other.split("-")[1:]


def net_of(config: Config, data: Dataset) -> tuple[Objective, tuple[int, ...]]:
    """Return what a config means for this data set: the objective, and the layers' widths."""
    config, loss = filled(config, data), resolve_loss(config.loss, data)
    sizes = data.n_features, *config.hidden, output_size(loss, data)
    return objective_of(config, loss), sizes


def objective_of(config: Config, loss: str) -> Objective:
    """Return the objective of a config in which nothing is left to the data, with this loss."""
    return Objective(
        activations=hidden_activations(config.activation, len(config.hidden)),
        loss=loss,
        optimizer=config.optimizer,
        l2=config.l2 > 0,
        l2_per=config.l2_per,
        l1=config.l1 > 0,
        label_smoothing=config.label_smoothing,
        clip_norm=config.clip_norm,
        gradient_norms=config.record == "norms",
        dropout=dropout_rates(config.dropout, len(config.hidden)),
        optimizer_options=tuple(
            (name, getattr(config, name)) for name in OPTIMIZERS[config.optimizer].options
        ),
        frozen=config.freeze,
    )


def check_activations(backend: Backend, names: Sequence[str]) -> None:
    """Raise InputError where a function or its derivative does not take a few numbers as it should.

    So those of one's own are told before a training, which they would spoil without a word.
    """
    z = backend.asarray(np.linspace(-2.0, 2.0, 6).reshape(2, 3))
    for name in dict.fromkeys(names):
        function, derivative, *_ = ACTIVATIONS[name]
        try:
            a = function(backend.xp, z)
            slope = derivative(backend.xp, z, a)
        except Exception as error:
            raise InputError(
                f"activation {name!r} failed on six numbers: {type(error).__name__}: {error}; it "
                "is a function (xp, z) -> a and a derivative (xp, z, a) -> da/dz"
            ) from error
        for what, found in (("function", a), ("derivative", slope)):
            shape, dtype = getattr(found, "shape", ()), getattr(found, "dtype", None)
            if tuple(shape) != (2, 3) or dtype != z.dtype:
                raise InputError(
                    f"the {what} of activation {name!r} must return an array like z, here (2, 3) "
                    f"of {z.dtype}, and returned {tuple(shape)} of {dtype or type(found).__name__}"
                )
