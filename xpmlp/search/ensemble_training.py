"""Nets that train side by side, the best of which are chosen for an ensemble as they go.

After each epoch every net is looked at on the rows that validate; what it was in its best epoch
is kept. Of these snapshots greedy selection (`selection.select`) chooses the ensemble, which is
kept where its loss on these rows is the lowest so far; where it stays above for some epochs, the
training of all ends. Sources: Caruana et al. (2004), as there; TabPack (arXiv:2607.05380), which
trains small nets of different hyperparameters in one run and combines them while they train.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from xpmlp.backends.base import Backend
from xpmlp.data.dataset import Dataset
from xpmlp.errors import InputError, RunError
from xpmlp.nn.losses import LOSSES
from xpmlp.search.ranges import DRAWN
from xpmlp.search.selection import START, averaged, cost_of, select
from xpmlp.training.config import Config
from xpmlp.training.ensemble import Ensemble
from xpmlp.training.model import Model
from xpmlp.training.setup import make_members
from xpmlp.training.targets import make_targets
from xpmlp.training.texts import count, loss_text
from xpmlp.training.trainer import Trainer
from xpmlp.types import Params

NEVER = {"best_epoch": None, "validation_loss": None}


class Snapshot(NamedTuple):
    """A net in the epoch, from 1, of its lowest validation loss; params (D, H) on the device."""

    loss: float = math.inf
    epoch: int = 0
    params: Params = ()


class Selected(NamedTuple):
    """An ensemble: how often each snapshot counts, (K,), and the loss of the mean."""

    counts: np.ndarray
    snapshots: tuple[Snapshot, ...]
    loss: float
    epoch: int


class EnsembleEpoch(NamedTuple):
    """What an epoch of all nets came to, on the rows that validate.

    validation_loss: of the ensemble that was selected after it. best_net_loss: the lowest so far
    of a single net. n_nets: how many different nets are selected. seconds: it took.
    """

    epoch: int
    validation_loss: float
    best_net_loss: float
    n_nets: int
    seconds: float

    def text(self) -> str:
        """Return it in a line."""
        return (
            f"epoch {self.epoch}: validation loss {loss_text(self.validation_loss)} of "
            f"{count(self.n_nets, 'net')}, {loss_text(self.best_net_loss)} of the best alone, "
            f"{self.seconds:.1f} s"
        )


class MemberTrainer(Trainer):
    """A trainer of a net whose training rows are not looked at again after each epoch."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, score_train=False)


class EnsembleTraining:
    """Trains a net for each config, and selects among them.

    configs: of the same loss, number of epochs and batch size. patience: so many epochs without a
        lower validation loss of the ensemble end the training; 0: none do.
    Raises InputError where config and data don't fit together, or no rows validate.
    """

    def __init__(
        self, configs: Sequence[Config], data: Dataset, backend: Backend, patience: int
    ) -> None:
        if not len(data.validation):
            raise InputError("an ensemble is selected on validation rows, and there are none")
        configs = [config.replace(early_stopping=0, record="loss") for config in configs]
        self.members = make_members(configs, data, backend, kind=MemberTrainer)
        self.trainers, self.data, self.patience = self.members.trainers, data, patience
        self.loss = self.trainers[0].objective.loss
        self.cost = cost_of(self.loss)
        self.targets = make_targets(self.loss, data, data.validation)
        self.snapshots = [Snapshot() for _ in configs]
        self.selected: Selected | None = None
        self.history: list[EnsembleEpoch] = []
        self._values: np.ndarray | None = None

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to do."""
        return self._has_settled or self.members.finished

    @property
    def _has_settled(self) -> bool:
        if self.selected is None or not self.patience:
            return False
        return len(self.history) - self.selected.epoch >= self.patience

    def epochs(self) -> Iterator[EnsembleEpoch]:
        """Train until the epochs are done, or the ensemble no longer gets better.

        Raises RunError where no net has a finite loss, from the first epoch on.
        """
        with closing(self.members.epochs()) as epochs:
            seconds = 0.0
            for records in epochs:
                seconds += sum(record.seconds for record in records)
                if records:
                    yield self._after_epoch(seconds)
                    seconds = 0.0
                if self._has_settled:
                    return
        if self.selected is None:
            raise next(iter(self.members.failures.values()))

    def _after_epoch(self, seconds: float) -> EnsembleEpoch:
        """Take snapshots of nets that got better, and select."""
        epoch = len(self.history) + 1
        for group in self._groups(epoch):
            better = [i for i in group if self._loss_of(i) < self.snapshots[i].loss]
            if better:
                self._take(better, self._looked_at(group), group, epoch)
        assert self._values is not None
        known = [i for i, snapshot in enumerate(self.snapshots) if snapshot.epoch]
        weights = self.data.validation.weights
        start = min(START, max(1, len(known) // 4))
        chosen, loss = select(self._values[known], self.cost, weights, start)
        if self.selected is None or loss < self.selected.loss:
            counts = np.zeros(len(self.snapshots), np.int64)
            counts[known] = chosen
            self.selected = Selected(counts, tuple(self.snapshots), loss, epoch)
        lowest = min(snapshot.loss for snapshot in self.snapshots)
        done = EnsembleEpoch(epoch, loss, lowest, int((chosen > 0).sum()), seconds)
        self.history.append(done)
        return done

    def _groups(self, epoch: int) -> list[list[int]]:
        """Return the nets that have done this epoch, those of a problem and of widths together."""
        groups: dict[Any, list[int]] = {}
        for i, trainer in enumerate(self.trainers):
            if trainer.place == (epoch, 0):
                widths = tuple(trainer.seat.shapes)
                groups.setdefault((id(trainer.problem), widths), []).append(i)
        return list(groups.values())

    def _loss_of(self, i: int) -> float:
        loss = self.trainers[i].history.epochs[-1].validation_loss
        return math.inf if loss is None else loss

    def _looked_at(self, group: list[int]) -> np.ndarray:
        """Return `averaged` of the nets of a group, (K, N, O)."""
        problem = self.trainers[group[0]].problem
        with problem.running():
            nets = [self.trainers[i].seat.view.params for i in group]
            logits = problem.evaluator.outputs(nets, problem.validation)
        outputs = LOSSES[self.loss].predict(np, logits.astype(np.float64))
        return averaged(self.loss, outputs, self.targets)

    def _take(self, better: list[int], found: np.ndarray, group: list[int], epoch: int) -> None:
        if self._values is None:
            self._values = np.empty((len(self.trainers), *found.shape[1:]))
        for i in better:
            self._values[i] = found[group.index(i)]
            params = self.trainers[i].seat.params
            self.snapshots[i] = Snapshot(self._loss_of(i), epoch, params)

    @property
    def counts(self) -> np.ndarray:
        """How often each net counts in the best ensemble so far, (K,), int64."""
        return self._best().counts

    def ensemble(self) -> Ensemble:
        """Return the best ensemble so far, on the host. Raises RunError before the first epoch."""
        best = self._best()
        chosen = np.flatnonzero(best.counts)
        nets = [self._model(i, best.snapshots[i].params) for i in chosen.tolist()]
        return Ensemble.of(nets, best.counts[chosen].tolist())

    def best_net(self) -> Model:
        """Return the net with the lowest validation loss by itself, on the host."""
        losses = [snapshot.loss for snapshot in self._best().snapshots]
        i = int(np.argmin(losses))
        return self._model(i, self._best().snapshots[i].params)

    def table(self) -> list[dict[str, Any]]:
        """Return for each net what it drew, its best epoch, its loss there, and how it counts."""
        rows, best = [], self._best()
        for i, (loss, epoch, _) in enumerate(best.snapshots):
            row = {name: getattr(self.trainers[i].config, name) for name in DRAWN}
            known = {"best_epoch": epoch, "validation_loss": loss} if epoch else NEVER
            rows.append({**row, **known, "count": int(best.counts[i])})
        return rows

    def _model(self, i: int, params: Params) -> Model:
        trainer = self.trainers[i]
        with trainer.problem.running():
            return replace(trainer.model(), params=trainer.backend.fetch(params))

    def _best(self) -> Selected:
        if self.selected is None:
            raise RunError("no epoch has ended, so there is no ensemble yet")
        return self.selected
