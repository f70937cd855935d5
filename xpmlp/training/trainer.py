"""The training loop: epochs of compiled steps, evaluation after each, and what came of it."""

import time
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError, RunError
from xpmlp.nn.initializers import initialize
from xpmlp.nn.network import hidden_activations
from xpmlp.optim.schedules import SCHEDULES, Place
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import RESUMABLE, Config
from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.evaluation import Evaluation, Evaluator, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.step import (
    Objective,
    TrainState,
    initial_state,
    make_step,
    metric_names,
)
from xpmlp.training.targets import check_dataset, make_targets, output_size, resolve_loss
from xpmlp.types import Batch, Hyper, Params


class Trainer:
    """One run in progress.

    initial: parameters to start from (host arrays), else drawn from config.seed.
    moments: the optimiser's initial moments, else zeros.
    order: the row order (N,) of an epoch, counted from 0, else drawn from config.seed.
    Raises InputError where config and data don't fit together.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        backend: Backend,
        *,
        initial: Params | None = None,
        moments: tuple[Params, ...] | None = None,
        order: Callable[[int], np.ndarray] | None = None,
    ) -> None:
        check_dataset(data)
        if config.early_stopping and len(data.validation) == 0:
            raise InputError("early_stopping needs validation rows, and there are none")
        self.config, self.data, self.backend = config, data, backend
        self.objective = make_objective(config, data)
        weights_seed, order_seed = np.random.SeedSequence(config.seed).spawn(2)
        self.generator = np.random.default_rng(order_seed)
        self.generator_state = self.generator.bit_generator.state
        self.order = order
        self.history = History(metric_names(self.objective, len(self._sizes()) - 1))
        self.stopping = EarlyStopping(config.early_stopping) if config.early_stopping else None
        with backend.running():
            params = initial or self._draw(np.random.default_rng(weights_seed))
            self._check_shapes(params)
            self._compile()
            self.state = self._initial_state(params, moments)
            self.train = self.upload(data.train)
            self.validation = self.upload(data.validation)

    def _compile(self) -> None:
        backend, xp = self.backend, self.backend.xp
        self.step = backend.compile(make_step(xp, self.objective))
        self.evaluator = Evaluator(backend, self.objective, self.data.task == "classification")
        numbers = (self.config.learning_rate, self.config.l2, self.config.l1, self.config.momentum)
        self.hyper = backend.put(Hyper(*map(np.float64, numbers)))

    def _initial_state(self, params: Params, moments: tuple[Params, ...] | None) -> TrainState:
        start = self.backend.compile(partial(initial_state, self.backend.xp, self.objective))
        state: TrainState = start(*self.backend.put((params, np.asarray(0))))
        return state if moments is None else state._replace(moments=self.backend.put(moments))

    @property
    def batch_size(self) -> int:
        """Rows of a full step."""
        rows = len(self.data.train)
        return min(self.config.batch_size or rows, rows)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, the ragged last one included."""
        return -(-len(self.data.train) // self.batch_size)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train until the configured number of epochs, or until early stopping says so."""
        while (done := len(self.history.epochs)) < self.config.epochs:
            if self.stopping and self.stopping.should_stop(done):
                return
            with self.backend.running():
                record = self._epoch(done)
            yield record

    def _epoch(self, epoch: int) -> EpochRecord:
        """Train and evaluate one epoch; nothing is kept of one that did not get to its end."""
        started = time.perf_counter()
        self.generator.bit_generator.state = self.generator_state
        plan = self._plan(epoch)
        state, metrics = self.backend.run_epoch(self.step, self.state, self.train, plan, self.hyper)
        self.backend.synchronize(state)
        seconds = time.perf_counter() - started
        train, validation = self._scores(state.params)
        losses = [*metrics[:, 0], train.loss, *((validation.loss,) if validation else ())]
        self._refuse_divergence(epoch, losses)
        record = EpochRecord(
            epoch=epoch + 1,
            learning_rate=float(plan.learning_rates[0]),
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            validation_loss=validation.loss if validation else None,
            validation_accuracy=validation.accuracy if validation else None,
            seconds=seconds,
            images_per_second=len(self.data.train) / seconds,
        )
        if self.stopping and validation:
            self.stopping.update(epoch + 1, validation.loss, state.params)
        self.state = state
        self.generator_state = self.generator.bit_generator.state
        self.history.append(record, metrics, plan.learning_rates)
        return record

    def _scores(self, params: Params) -> tuple[Score, Score | None]:
        """Return the scores of training and validation rows; both come in one download."""
        train = self.evaluator.parts(params, self.train)
        validation = self.evaluator.parts(params, self.validation)
        table = self.evaluator.fetch([*train, *validation])
        held_out = self.evaluator.score(table[len(train) :]) if validation else None
        return self.evaluator.score(table[: len(train)]), held_out

    def evaluate(self, rows: Rows) -> Evaluation:
        """Return loss, accuracy and logits of `params` over host rows, of which there are some."""
        with self.backend.running():
            return self.evaluator.evaluate(self.params, self.upload(rows))

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of the training rows and of the names of the classes."""
        rows, names = self.data.train, "\0".join(self.data.class_names)
        buffers: list[Any] = [*map(np.ascontiguousarray, (rows.x, rows.y)), names.encode()]
        return "-".join(f"{zlib.crc32(buffer):08x}" for buffer in buffers)

    @property
    def params(self) -> Params:
        """The weights that count: the best where early stopping keeps them, else the latest."""
        best = self.stopping.best_params if self.stopping else None
        return self.state.params if best is None else best

    def model(self) -> Model:
        """Return the network of `params`, on the host."""
        return Model(
            params=self.backend.fetch(self.params),
            activations=self.objective.activations,
            loss=self.objective.loss,
            class_names=self.data.class_names,
            feature_names=self.data.feature_names,
            image_shape=self.data.image_shape,
            dataset=self.data.name,
            scale=self.data.scale,
            scaling=self.data.scaling,
        )

    def checkpoint(self) -> Checkpoint:
        """Return all that `resume` needs, on the host."""
        best, names = self.stopping or EarlyStopping(0), self.history.metric_names
        return Checkpoint(
            config=self.config,
            fingerprint=self.fingerprint,
            state=self.backend.fetch(self.state),
            generator=dict(self.generator_state),
            epochs=self.history.epochs,
            steps=self.history.steps.reshape(-1, self.steps_per_epoch, len(names)),
            rates=self.history.learning_rates.reshape(-1, self.steps_per_epoch),
            best_epoch=best.best_epoch,
            best_loss=best.best_loss if best.best_epoch else None,
            best_params=self.backend.fetch(best.best_params),
        )

    def resume(self, saved: Checkpoint) -> None:
        """Go on where a checkpoint stopped.

        Early stopping that the checkpoint did not have begins to count here. Raises InputError
        where an option differs that can't change within a run, or a shape.
        """
        changed = [
            name
            for name in Config.names()
            if name not in RESUMABLE and getattr(self.config, name) != getattr(saved.config, name)
        ]
        if changed:
            raise InputError(f"the checkpoint is of a run with another {', '.join(changed)}")
        if self.fingerprint != saved.fingerprint:
            raise InputError(f"the rows of {self.data.name} are not those that the run began with")
        self._check_shapes(saved.state.params)
        self.state = self.backend.put(saved.state)
        self.generator_state = saved.generator
        self.history.epochs = list(saved.epochs)
        self.history.step_parts = list(saved.steps)
        self.history.rate_parts = list(saved.rates)
        if self.stopping and saved.best_loss is not None:
            self.stopping.best_loss = saved.best_loss
            self.stopping.best_epoch = saved.best_epoch
            self.stopping.best_params = self.backend.put(saved.best_params)
        elif self.stopping:
            self.stopping.started = len(saved.epochs)

    def _draw(self, rng: np.random.Generator) -> Params:
        return initialize(
            np,
            rng,
            self._sizes(),
            activations=self.objective.activations,
            init=self.config.init,
            std=self.config.init_std,
            bias_std=self.config.init_bias_std,
        )

    def _sizes(self) -> tuple[int, ...]:
        outputs = output_size(self.objective.loss, self.data)
        return (self.data.n_features, *self.config.hidden, outputs)

    def _check_shapes(self, params: Params) -> None:
        sizes = self._sizes()
        expected = list(pairwise(sizes))
        given = [tuple(layer.W.shape) for layer in params]
        if given != expected or any(layer.b.shape != layer.W.shape[-1:] for layer in params):
            raise InputError(f"weights of shapes {given} don't fit the net's {expected}")

    def upload(self, rows: Rows) -> Batch:
        """Put rows with their targets on the device."""
        targets = make_targets(self.objective.loss, self.data, rows)
        return Batch(self.backend.asarray(rows.x), self.backend.asarray(targets))

    def _plan(self, epoch: int) -> EpochPlan:
        order = None
        if self.order is not None:
            order = self.order(epoch)
        elif self.steps_per_epoch > 1:
            order = self.generator.permutation(len(self.data.train))
        return EpochPlan(order, self.batch_size, self._rates(epoch))

    def _rates(self, epoch: int) -> np.ndarray:
        config, per_epoch = self.config, self.steps_per_epoch
        steps = config.epochs * per_epoch
        schedule = SCHEDULES[config.lr_schedule]
        factors = [
            schedule(Place(epoch * per_epoch + i, steps, epoch, config.epochs, config.lr_decay))
            for i in range(per_epoch)
        ]
        return config.learning_rate * np.array(factors)

    def _refuse_divergence(self, epoch: int, losses: list[float]) -> None:
        """Raise RunError where a step's loss, or one after the epoch, is not finite."""
        bad = ~np.isfinite(losses)
        if bad.any():
            step = min(int(bad.argmax()) + 1, self.steps_per_epoch)
            raise RunError(
                f"the loss became {losses[bad.argmax()]} at step {step} of epoch {epoch + 1}; "
                f"try a smaller learning_rate than {self.config.learning_rate:g}, scaled inputs, "
                "or clip_norm"
            )


def make_objective(config: Config, data: Dataset) -> Objective:
    """Return the names that a config means for this data set."""
    return Objective(
        activations=hidden_activations(config.activation, len(config.hidden)),
        loss=resolve_loss(config.loss, data),
        optimizer=config.optimizer,
        l2=config.l2 > 0,
        l1=config.l1 > 0,
        label_smoothing=config.label_smoothing,
        clip_norm=config.clip_norm,
    )
