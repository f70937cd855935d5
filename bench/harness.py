"""Measuring: a worker per row, epochs in rounds in turn, and losses that have to agree."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.cases import Case, Problem
from bench.processes import FULL, TF32, RowFailed, RowUnavailable, Setup, Worker, precision_of
from bench.statistics import TOLERANCE, odd_ones_out

if TYPE_CHECKING:
    import numpy as np

    from xpmlp.interrupt import StopRequest

LAST = "PyTorch compile"  # whose preparation is the longest
WARM_UPS = 2  # what is compiled may be compiled once more for what the first epoch returned
CHECKED_ROWS = 5_000
TOLERANCES = {FULL: TOLERANCE, TF32: 0.05}


@dataclass(eq=False)
class Row:
    """One contender on one device, and what was measured.

    status: ok, unavailable, failed, invalid or stopped, all but the first with a reason.
    first_epochs: seconds of each epoch of the warm-up, compilation included. seconds: of each
    complete round.
    loss: at the end, over the first rows; None for a contender without weights.
    """

    name: str
    device: str
    status: str = "ok"
    reason: str = ""
    prepare: float | None = None
    first_epochs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: float | None = None
    peak_memory: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def stop(self) -> None:
        """Note that no round is complete; what the first epochs took stays."""
        self.status = "stopped"
        self.reason = "before it was prepared"
        if self.first_epochs:
            times = " and ".join(f"{seconds:.3g} s" for seconds in self.first_epochs)
            self.reason = f"the rounds are missing; first epochs: {times}"

    def drop_out(self, status: str, error: Exception) -> None:
        """Note why the row goes no further."""
        self.status, self.reason = status, str(error)


class Measurement:
    """The rows of one case, each in a process of its own.

    tick: told the name of a row whenever it has done something.
    """

    def __init__(
        self,
        case: Case,
        problem: Problem,
        rows: Sequence[Row],
        setup: Setup,
        stop: "StopRequest",
        tick: Callable[[str], object],
    ) -> None:
        self.case, self.problem, self.rows = case, problem, rows
        self.setup, self.stop, self.tick = setup, stop, tick
        self.workers: dict[Row, Worker] = {}

    @property
    def running(self) -> list[Row]:
        """The rows that have not dropped out."""
        return [row for row in self.rows if row.status == "ok"]

    def run(self, rounds: int) -> None:
        """Prepare and warm up one by one, run the rounds, and compare the losses.

        Only the imports of all rows happen at the same time. A row that can't run, or fails,
        says why, and the others go on. Raises KeyboardInterrupt where a stop was requested; the
        rows then keep the rounds that are complete.
        """
        try:
            for row in self.rows:
                self.workers[row] = Worker(self.setup, precision_of(row.name))
                with suppress(RowFailed):  # the answer fails as well, and says why
                    self.workers[row].send("load", row.name, row.device)
            self._each(sorted(self.rows, key=lambda row: row.name == LAST), self._prepare)
            for number in range(WARM_UPS, WARM_UPS + rounds):
                self._each(in_turn(self.running, number), partial(self._epoch, number))
            self._each(self.running, self._finish)
        finally:
            self._keep_complete_rounds()
            for worker in self.workers.values():
                worker.close()
        self._compare_losses()

    def _each(self, rows: Sequence[Row], action: Callable[[Row], None]) -> None:
        for row in rows:
            if self.stop.requested:
                raise KeyboardInterrupt
            try:
                action(row)
            except RowUnavailable as error:
                row.drop_out("unavailable", error)
            except RowFailed as error:
                row.drop_out("failed", error)
            if row.status != "ok":
                self.workers[row].close()
            self.tick(row.name)

    def _prepare(self, row: Row) -> None:
        worker = self.workers[row]
        worker.answer()
        row.prepare = worker.ask("prepare", row.name, row.device, self.case, self.problem)
        for number in range(WARM_UPS):
            row.first_epochs.append(worker.ask("epoch", number))
        row.about = worker.ask("describe")

    def _epoch(self, number: int, row: Row) -> None:
        row.seconds.append(self.workers[row].ask("epoch", number))

    def _finish(self, row: Row) -> None:
        row.peak_memory = self.workers[row].ask("memory")
        if weights := self.workers[row].ask("weights"):
            row.loss = self.loss(weights)

    def loss(self, weights: "Iterable[tuple[np.ndarray, np.ndarray]]") -> float:
        """Return the mean loss of W and b of each layer over the first rows."""
        return loss_of(weights, self.problem, self.case)

    def _keep_complete_rounds(self) -> None:
        complete = min((len(row.seconds) for row in self.running), default=0)
        for row in self.rows:
            del row.seconds[complete:]
        if not complete:
            for row in self.running:
                row.stop()

    def _compare_losses(self) -> None:
        """Compare the rows of each precision among themselves."""
        initial = self.loss(self.problem.initial)
        for precision, tolerance in TOLERANCES.items():
            losses = {
                row: row.loss
                for row in self.running
                if row.loss is not None and precision_of(row.name) == precision
            }
            for row, reason in odd_ones_out(losses, initial, tolerance).items():
                row.status, row.reason = "invalid", reason


def in_turn(rows: Sequence[Row], number: int) -> list[Row]:
    """Return the rows of a round in its order: each round begins one row later."""
    start = number % len(rows) if rows else 0
    return [*rows[start:], *rows[:start]]


def loss_of(
    weights: "Iterable[tuple[np.ndarray, np.ndarray]]", problem: Problem, case: Case
) -> float:
    """Return the mean loss of W and b of each layer over the first rows, computed in float64."""
    import array_api_compat.numpy as xp
    import numpy as np

    from xpmlp.nn.losses import softmax_cross_entropy
    from xpmlp.nn.network import forward, hidden_activations
    from xpmlp.types import Affine

    params = tuple(Affine(W.astype(np.float64), b.astype(np.float64)) for W, b in weights)
    x, y = problem.x[:CHECKED_ROWS].astype(np.float64), problem.y[:CHECKED_ROWS]
    activations = hidden_activations(case.activation, len(case.hidden))
    with np.errstate(all="ignore"):
        logits, _ = forward(xp, params, x, activations)
        loss, _ = softmax_cross_entropy(xp, logits, y)
    return float(loss)
