"""The training loop: epochs of compiled steps, evaluation after each, and what came of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.backends.registry import select_backend
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.errors import InputError, RunError
from xpmlp.nn.initializers import initialize
from xpmlp.nn.network import hidden_activations
from xpmlp.optim.schedules import SCHEDULES, Place
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.model import Model
from xpmlp.training.step import (
    Objective,
    TrainState,
    initial_state,
    make_evaluation,
    make_step,
    metric_names,
)
from xpmlp.training.targets import make_targets, output_size, resolve_loss
from xpmlp.types import Array, Batch, Hyper, Params

EVALUATION_ROWS = 10_000


class Score(NamedTuple):
    """Loss, without penalty or smoothing, and accuracy, None for regression."""

    loss: float
    accuracy: float | None


class Evaluation(NamedTuple):
    """Loss and accuracy as in `Score`, and the logits (N, C)."""

    loss: float
    accuracy: float | None
    logits: np.ndarray


class Part(NamedTuple):
    """What one batch of an evaluation gave, on the device."""

    rows: int
    logits: Array
    metrics: Array


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
        if len(data.train) == 0:
            raise InputError(f"{data.name} has no training rows")
        if config.early_stopping and len(data.validation) == 0:
            raise InputError("early_stopping needs validation rows, and there are none")
        self.config, self.data, self.backend = config, data, backend
        self.objective = make_objective(config, data)
        weights_seed, order_seed = np.random.SeedSequence(config.seed).spawn(2)
        self.generator = np.random.default_rng(order_seed)
        self.generator_state = self.generator.bit_generator.state
        self.order = order
        params = initial or self._draw(np.random.default_rng(weights_seed))
        self._check_shapes(params)
        self.history = History(metric_names(self.objective, len(params)))
        self.stopping = EarlyStopping(config.early_stopping) if config.early_stopping else None
        with backend.memory_explained():
            self._compile()
            self.state = self._initial_state(params, moments)
            self.train = self.upload(data.train)
            self.validation = self.upload(data.validation)

    def _compile(self) -> None:
        backend, xp = self.backend, self.backend.xp
        classify = self.data.task == "classification"
        self.step = backend.compile(make_step(xp, self.objective))
        self.evaluation = backend.compile(make_evaluation(xp, self.objective, classify))
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
            with self.backend.memory_explained():
                record = self._epoch(done)
            yield record

    def _epoch(self, epoch: int) -> EpochRecord:
        """Train and evaluate one epoch; nothing is kept of one that did not get to its end."""
        plan = self._plan(epoch)
        started = time.perf_counter()
        state, metrics = self.backend.run_epoch(self.step, self.state, self.train, plan, self.hyper)
        self.backend.synchronize()
        seconds = time.perf_counter() - started
        self._refuse_divergence(epoch, metrics)
        train = self._score(state.params, self.train)
        validated = len(self.data.validation) > 0
        validation = self._score(state.params, self.validation) if validated else None
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

    def evaluate(self, rows: Rows) -> Evaluation:
        """Return loss, accuracy and logits of the net as it is now over host rows."""
        with self.backend.memory_explained():
            parts = self._parts(self.state.params, self.upload(rows))
            logits = np.concatenate([self.backend.to_numpy(part.logits) for part in parts])
            return Evaluation(*self._summed(parts), logits)

    def _score(self, params: Params, rows: Batch) -> Score:
        return self._summed(self._parts(params, rows))

    def _parts(self, params: Params, rows: Batch) -> list[Part]:
        """Evaluate rows on the device, in large batches."""
        parts, n = [], rows.x.shape[0]
        for start in range(0, n, EVALUATION_ROWS):
            stop = min(start + EVALUATION_ROWS, n)
            batch = Batch(rows.x[start:stop, ...], rows.t[start:stop, ...])
            parts.append(Part(stop - start, *self.evaluation(params, batch)))
        return parts

    def _summed(self, parts: list[Part]) -> Score:
        """Fetch the metrics of all parts at once."""
        xp = self.backend.xp
        table = self.backend.to_numpy(xp.stack([part.metrics for part in parts]))
        sizes = np.array([part.rows for part in parts])
        loss = float(sizes @ table[:, 0].astype(np.float64) / sizes.sum())
        classes = self.data.task == "classification"
        return Score(loss, float(table[:, 1].sum() / sizes.sum()) if classes else None)

    def restore_best(self) -> None:
        """Go back to the weights of the best epoch, where early stopping kept them."""
        if self.stopping and self.stopping.best_params is not None:
            self.state = self.state._replace(params=self.stopping.best_params)

    def model(self) -> Model:
        """Return the network as it is now, on the host."""
        return Model(
            params=self.backend.fetch(self.state.params),
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
        best = self.stopping or EarlyStopping(0)
        return Checkpoint(
            config=self.config,
            state=self.backend.fetch(self.state),
            generator=dict(self.generator_state),
            epochs=self.history.epochs,
            steps=self.history.step_parts,
            rates=self.history.rate_parts,
            best_epoch=best.best_epoch,
            best_loss=best.best_loss if best.best_epoch else None,
            best_params=self.backend.fetch(best.best_params),
        )

    def resume(self, saved: Checkpoint) -> None:
        """Go on where a checkpoint stopped. Raises InputError where its net is another."""
        self._check_shapes(saved.state.params)
        self.state = self.backend.put(saved.state)
        self.generator.bit_generator.state = self.generator_state = saved.generator
        self.history.epochs = list(saved.epochs)
        self.history.step_parts = list(saved.steps)
        self.history.rate_parts = list(saved.rates)
        if self.stopping and saved.best_loss is not None:
            self.stopping.best_loss = saved.best_loss
            self.stopping.best_epoch = saved.best_epoch
            self.stopping.best_params = self.backend.put(saved.best_params)

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

    def _refuse_divergence(self, epoch: int, metrics: np.ndarray) -> None:
        bad = ~np.isfinite(metrics[:, 0])
        if bad.any():
            raise RunError(
                f"the loss became {metrics[bad.argmax(), 0]} at step {bad.argmax() + 1} of epoch "
                f"{epoch + 1}; try a smaller learning_rate than {self.config.learning_rate:g}, "
                "scaled inputs, or clip_norm"
            )


@dataclass(frozen=True)
class Run:
    """What `fit` returns: the model, its history, the trainer, and the test evaluation.

    record: the epoch whose weights the model has; None before the first epoch has ended.
    """

    model: Model
    history: History
    trainer: Trainer
    record: EpochRecord | None
    test: Evaluation | None


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


def fit(config: Config, data: Dataset, backend: Backend | None = None, **start: Any) -> Run:
    """Train a net on a data set and return the run.

    backend: else chosen by the config's names. start: `initial`, `moments`, `order` as for
    `Trainer`. Raises InputError for what can't be trained, RunError for a loss that diverges.
    """
    if backend is None:
        backend = select_backend(config.backend, config.device, config.dtype).backend
    trainer = Trainer(config, data, backend, **start)
    for _ in trainer.epochs():
        pass
    return finish(trainer)


def finish(trainer: Trainer) -> Run:
    """Restore the best weights where they were kept, and evaluate the test rows once."""
    trainer.restore_best()
    best = trainer.stopping.best_epoch if trainer.stopping else 0
    record = trainer.history.epochs[best - 1] if trainer.history.epochs else None
    test = trainer.data.test
    evaluation = trainer.evaluate(test) if len(test) else None
    return Run(trainer.model(), trainer.history, trainer, record, evaluation)
