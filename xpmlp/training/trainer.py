"""The training loop: epochs of compiled steps, evaluation after each, and what came of it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from xpmlp.backends.base import Backend, EpochPlan
from xpmlp.console import warn_outside
from xpmlp.data.dataset import Dataset, Rows
from xpmlp.described import Described, Lines
from xpmlp.errors import DivergenceError, InputError, RunError
from xpmlp.leaves import map_tree
from xpmlp.training.checkpoint import Checkpoint, require_checkpoint
from xpmlp.training.compiling import decided
from xpmlp.training.config import LARGEST, Config
from xpmlp.training.defaults import filled
from xpmlp.training.describing import trainer_lines
from xpmlp.training.diverging import remedy, what_went_first
from xpmlp.training.early_stopping import EarlyStopping
from xpmlp.training.epoch import EpochResult, checked_order, train_epoch
from xpmlp.training.evaluation import Evaluation, Score
from xpmlp.training.history import EpochRecord, History
from xpmlp.training.initial import check_shapes, drawn_params, first_moments, starting_params
from xpmlp.training.model import Model
from xpmlp.training.own import step_numbers
from xpmlp.training.pieces import Unfinished
from xpmlp.training.problem import Problem, net_of
from xpmlp.training.rates import RatePlan, after_epoch, same_rates
from xpmlp.training.seats import Beginning, Seat
from xpmlp.training.standing import Standing
from xpmlp.training.step import TrainState, columns_of, metric_names
from xpmlp.training.streaming import drawn_order, streams
from xpmlp.training.targets import check_rows, target_of
from xpmlp.types import Params


class Trainer(Described):
    """One run in progress. Between epochs its `learning_rate` and its `state` can be set.

    initial: weights to begin with, else those of config.initial, else drawn from config.seed: a
        run, a model, the file or folder of one, a fitted estimator, or a sequence of layers
        (W, b) on the host. Of a net whose first layers alone have the same shapes these are
        taken. What is assumed of them is a UserWarning.
    moments: the optimiser's initial moments, else zeros, or velocities of config.init_velocity.
    order: the row order (N,) of an epoch, counted from 0, else drawn from config.seed.
    problem: that of another trainer with the same net, data and backend, to share its steps,
        compiled or not, and its uploaded rows.
    score_train: whether to look at all training rows after each epoch; else, and where these stay
        on disk, its record has the mean of the steps' losses, each before its update, no accuracy.
    Raises InputError where config and data don't fit together.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        backend: Backend,
        *,
        initial: Any = None,
        moments: tuple[Params, ...] | None = None,
        order: Callable[[int], np.ndarray] | None = None,
        problem: Problem | None = None,
        score_train: bool = True,
    ) -> None:
        config = filled(config, data)
        self.problem = problem or Problem(config, data, backend)
        if config.early_stopping and len(data.validation) == 0:
            raise InputError("early_stopping needs validation rows, and there are none")
        self._wish, self.config = config, decided(config, self.problem.decision)
        self.data, self.backend = data, backend
        self.objective, self.sizes = net_of(config, data)
        self.problem.check_trains(self.objective, self.sizes)
        layers, shared = len(self.sizes) - 1, self.problem.objective
        self.columns = columns_of(self.objective, shared, layers)
        weights_seed, order_seed, masks_seed = np.random.SeedSequence(config.seed).spawn(3)
        self.generator = np.random.default_rng(order_seed)
        self.order, self.score_train = order, score_train and not streams(data.train)
        self._history = History(metric_names(self.objective, layers))
        initial = config.initial if initial is None else initial
        self.begins_trained = initial is not None
        draw = partial(drawn_params, config, self.sizes, self.objective, weights_seed)
        if initial is not None:
            params, notes = starting_params(initial, draw(), self.objective.activations, data)
            draw = partial(tuple, params)
            for note in notes:
                warn_outside(note)
        with backend.running():
            self.hyper = backend.put(step_numbers(config, self.objective, shared, masks_seed))
        seat = Seat(Beginning(draw, self.problem.start), backend)
        if config.init_velocity and moments is None:
            moments = first_moments(config.init_velocity, draw()[self.objective.frozen :])
        if moments is not None:
            seat = Seat(seat.state._replace(moments=backend.put(moments)), backend)
        stopping = EarlyStopping(config.early_stopping) if config.early_stopping else None
        orders, plans = self.generator.bit_generator.state, (RatePlan.of(config),)
        self._standing = Standing(0, seat, orders, stopping, plans)

    def __setattr__(self, name: str, value: Any) -> None:
        made = "_standing" in self.__dict__
        if made and name not in ("learning_rate", "state") and not name.startswith("_"):
            raise AttributeError(
                f"{name} of a trainer can't be set; learning_rate and state can, and all else is "
                "a choice of its config"
            )
        super().__setattr__(name, value)

    def described(self) -> tuple[str, Lines]:
        """Return what it trains and how far it is, for its text and its table."""
        return f"trainer of {self.data.name}", trainer_lines(self)

    @property
    def state(self) -> TrainState:
        """Parameters, the optimiser's moments and the count of steps, on the device.

        They are those of the last whole epoch. Setting it drops what is done of the next one.
        """
        return self._standing.seat.state

    @state.setter
    def state(self, state: TrainState) -> None:
        seat = Seat(state, self.backend)
        self._standing = self._standing._replace(seat=seat, unfinished=None)

    @property
    def seat(self) -> Seat:
        """Where the state lies: alone, or beside those of others that train with it."""
        return self._standing.seat

    @property
    def unfinished(self) -> Unfinished | None:
        """What is done of an epoch that was stopped within, None between epochs."""
        return self._standing.unfinished

    @property
    def place(self) -> tuple[int, int]:
        """How many epochs are done, and how many steps of the next one."""
        return self._standing.place

    @property
    def learning_rate(self) -> float:
        """The base rate of the next epoch; the schedule's factor comes on top of it.

        It can be set: from the next epoch on the schedule goes on with the new rate, which a
        checkpoint keeps. Raises InputError for what is no rate above 0.
        """
        return self.plans[-1].learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        number = float(rate) if isinstance(rate, int | float | np.number) else math.nan
        if isinstance(rate, bool) or not 0 < number <= LARGEST[self.config.dtype]:
            raise InputError(f"learning_rate is {rate!r}; it must be a number above 0")
        done, (*earlier, plan) = self._standing.epochs, self.plans
        earlier += [plan] * (plan.since < done)
        plans = (*earlier, plan._replace(learning_rate=number, since=done))
        self._standing = self._standing._replace(plans=plans)

    @property
    def plans(self) -> tuple[RatePlan, ...]:
        """The plans of the learning rate, each in force until the next."""
        return self._standing.plans

    @property
    def place_text(self) -> str:
        """Where it stands, in words."""
        epochs, steps = self.place
        text = f"epoch {epochs} of {self.config.epochs}"
        return f"{text} and step {steps:,} of {self.steps_per_epoch:,}" if steps else text

    @property
    def stopping(self) -> EarlyStopping | None:
        """The best epoch so far, where early stopping watches."""
        return self._standing.stopping

    @property
    def history(self) -> History:
        """What was recorded of the epochs that were taken.

        An interrupt may have left more in it; that goes.
        """
        return self._history.cut(self._standing.epochs)

    @cached_property
    def batch_size(self) -> int:
        """Rows of a full step."""
        rows = len(self.data.train)
        return min(self.config.batch_size or rows, rows)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, the ragged last one included."""
        return -(-len(self.data.train) // self.batch_size)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or early stopping says so."""
        done = self._standing.epochs
        stopped = self.stopping is not None and self.stopping.should_stop(done)
        return stopped or done >= self.config.epochs

    @property
    def prefers_company(self) -> bool:
        """Whether several such nets train faster as one ensemble than one by one."""
        if self.problem.compilation is not None:
            return True
        work = self.problem.multiplications(self.batch_size)
        return self.backend.prefers_ensembles(work, shrinking=self.stopping is not None)

    def epochs(self) -> Iterator[EpochRecord]:
        """Train until the configured number of epochs, or until early stopping says so.

        Raises RunError where the loss diverges; the weights are then those of the epoch before.
        """
        while not self.finished:
            (outcome,) = train_epoch([self])
            if isinstance(outcome, RunError):
                raise outcome
            yield outcome

    def plan(self) -> EpochPlan:
        """Return the order of rows and the learning rates of the next epoch."""
        epoch, order = self._standing.epochs, None
        self.generator.bit_generator.state = self._standing.generator_state
        self._planned = tuple(plan for plan in self.plans if plan.since <= epoch)
        if self.order is not None:
            order = checked_order(self.order(epoch), len(self.data.train))
        elif self.steps_per_epoch > 1:
            order = drawn_order(self.data.train, self.generator)
        rates = self._planned[-1].rates(epoch, self.config.epochs, self.steps_per_epoch)
        if self.unfinished:
            rates[: self.unfinished.steps] = self.unfinished.rates
        return EpochPlan(order, self.batch_size, rates)

    def hold(self, unfinished: Unfinished) -> None:
        """Take what is done of the epoch that `plan` began."""
        plans = after_epoch(self._standing.epochs, self._planned, self.plans)
        self._standing = self._standing._replace(unfinished=unfinished, plans=plans)

    def accept(self, plan: EpochPlan, result: EpochResult) -> EpochRecord:
        """Take the result of the epoch that `plan` began; before this nothing of it is kept.

        The last assignment takes it as a whole: an interrupt, wherever it falls, leaves the
        epoch before or this one. Raises RunError, and takes nothing but what the steps up to there
        recorded, where a loss is not finite.
        """
        history, stopping = self.history, self.stopping
        epoch, train, validation = self._standing.epochs, result.train, result.validation
        losses = [*result.metrics[:, 0], *(score.loss for score in (train, validation) if score)]
        self._refuse_divergence(losses, result.metrics, plan.learning_rates)
        train = train or Score(float(result.metrics[:, 0].mean()), None)
        record = EpochRecord(
            epoch=epoch + 1,
            learning_rate=float(plan.learning_rates[0]),
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            validation_loss=validation.loss if validation else None,
            validation_accuracy=validation.accuracy if validation else None,
            seconds=result.seconds,
            images_per_second=len(self.data.train) / result.seconds,
        )
        if stopping and validation and validation.loss < stopping.best_loss:
            stopping = stopping.after(epoch + 1, validation.loss, result.seat.params)
        history.append(record, result.metrics, plan.learning_rates)
        orders = self.generator.bit_generator.state
        plans = after_epoch(epoch, self._planned, self.plans)
        self._standing = Standing(epoch + 1, result.seat, orders, stopping, plans)
        return record

    def evaluate(self, rows: Rows) -> Evaluation:
        """Return loss, accuracy and logits of `params` over rows.

        Raises InputError where there are none, or they are not like the training rows.
        """
        with self.problem.running():
            if not (known := rows is self.data.test):
                check_rows("rows to evaluate", rows, self.data)
            if not len(rows):
                raise InputError("there are no rows to evaluate")
            batch = self.problem.test if known else self.problem.upload(rows)
            return self.problem.evaluator.evaluate(self.params, batch)

    @property
    def params(self) -> Params:
        """The weights that count: the best where early stopping keeps them, else the latest."""
        return self.seat.params if self._best_params is None else self._best_params

    @property
    def _best_params(self) -> Params | None:
        return self.stopping.best_params if self.stopping else None

    @property
    def is_trained(self) -> bool:
        """Whether its weights are learnt, in an epoch or by the net that they are from."""
        return self.begins_trained or self._standing.epochs > 0

    def model(self) -> Model:
        """Return the network of `params`, on the host, in memory of its own."""
        data, loss, best = self.data, self.objective.loss, self._best_params
        return Model(
            params=self._copied(self.seat.view.params if best is None else best),
            activations=self.objective.activations,
            loss=loss,
            class_names=data.class_names,
            feature_names=data.feature_names,
            image_shape=data.image_shape,
            dataset=data.name,
            scale=data.scale,
            scaling=data.scaling,
            columns=data.columns,
            target=target_of(loss, data),
            label=data.label,
        )

    def checkpoint(self) -> Checkpoint:
        """Return all that `resume` needs, on the host."""
        history = self.history
        per_epoch = self.steps_per_epoch, len(history.metric_names)
        return replace(
            self.standing(),
            epochs=list(history.epochs),
            steps=np.array(history.step_parts, np.float64).reshape(-1, *per_epoch),
            rates=np.array(history.rate_parts).reshape(-1, self.steps_per_epoch),
        )

    def standing(self) -> Checkpoint:
        """Return what `checkpoint` does, without the history: epochs, steps and rates are empty."""
        best, part = self.stopping or EarlyStopping(0), self.unfinished
        metrics = len(self._history.metric_names)
        return Checkpoint(
            config=self.config,
            fingerprint=self.problem.fingerprint,
            state=self._copied(self.seat.view),
            generator=dict(self._standing.generator_state),
            epochs=[],
            steps=np.empty((0, self.steps_per_epoch, metrics)),
            rates=np.empty((0, self.steps_per_epoch)),
            best_epoch=best.best_epoch,
            best_loss=best.best_loss if best.best_epoch else None,
            best_params=self._copied(best.best_params),
            plans=self.plans,
            unfinished=part and replace(part, seat=Seat(self._copied(part.seat.view))),
        )

    def _copied(self, tree: Any) -> Any:
        """Return arrays of the device as NumPy arrays of their own."""
        return map_tree(lambda leaf: np.array(self.backend.to_numpy(leaf)), tree)

    def resume(self, saved: Checkpoint, *, replan: bool = False) -> None:
        """Go on where a checkpoint stopped, compiled or not as it was where the config has `auto`.

        Where the learning rate, its schedule or its decay differ from the checkpoint's config, or
        with `replan`, the rates of the epochs that are left are planned anew, as if the schedule
        began here; else they go on. Early stopping that the checkpoint did not have begins to
        count here. Raises InputError where an option differs that can't change within a run, or
        a shape.
        """
        require_checkpoint(saved)
        saved.check_config(self.config)
        if self.problem.fingerprint != saved.fingerprint:
            raise InputError(f"the rows of {self.data.name} are not those that the run began with")
        check_shapes(saved.state.params, self.sizes)
        saved.check_history(self.steps_per_epoch, len(self._history.metric_names))
        problem, config = self.problem.going_on(self._wish, saved.config)
        vars(self).update(problem=problem, config=config)
        stopping, epochs = self.stopping, len(saved.epochs)
        if stopping and saved.best_loss is not None:
            best = self.backend.put(saved.best_params)
            stopping = replace(
                stopping, best_loss=saved.best_loss, best_epoch=saved.best_epoch, best_params=best
            )
        elif stopping:
            stopping = replace(stopping, started=epochs)
        taken = list(saved.epochs), list(saved.steps), list(saved.rates)
        self._history = History(self._history.metric_names, *taken)
        plans = saved.plans
        if replan or not same_rates(self.config, saved.config):
            plans = (*(p for p in plans if p.since < epochs), RatePlan.of(self.config, epochs))
        seat, part = Seat(self.backend.put(saved.state), self.backend), saved.unfinished
        part = part and replace(part, seat=Seat(self.backend.put(part.state), self.backend))
        self._standing = Standing(epochs, seat, saved.generator, stopping, plans, part)

    def _refuse_divergence(
        self, losses: list[float], metrics: np.ndarray, rates: np.ndarray
    ) -> None:
        """Raise DivergenceError where a step's loss, or one after the epoch, is not finite."""
        bad = ~np.isfinite(losses)
        if bad.any():
            step = min(int(bad.argmax()) + 1, self.steps_per_epoch)
            self._standing = self._standing._replace(unfinished=None)
            self._history.fail(metrics[:step], rates[:step])
            raise DivergenceError(
                f"the loss became {losses[bad.argmax()]} at step {step} of epoch "
                f"{self._standing.epochs + 1}{what_went_first(self._history, self.steps_per_epoch)}"
                f"; {remedy(self.learning_rate, self.data)}"
            )
