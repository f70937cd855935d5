"""How a sweep in progress is shown: a bar over the epochs of all members, or plain lines."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, TextIO

from xpmlp.console import show
from xpmlp.search.halving import ranked
from xpmlp.search.plan import Plan
from xpmlp.search.sweeping import Sweep
from xpmlp.search.tried import Tried
from xpmlp.training.texts import count, loss_text

MOST_LINES = 50  # of a wave


class Progress(Protocol):
    """Shows epochs as they end."""

    def show(self, sweep: Sweep, wave: Sequence[Tried]) -> None:
        """Show that members of a wave have ended an epoch."""

    def close(self) -> None:
        """Take the bar away, or do nothing."""


class Bar:
    """A tqdm bar on stderr: epochs of all members, which get fewer as some are dropped."""

    def __init__(self, sweep: Sweep) -> None:
        from tqdm.auto import tqdm

        done, expected = _done(sweep), _expected(sweep)
        self.bar: Any = tqdm(initial=done, total=expected, unit="epoch", leave=False)

    def show(self, sweep: Sweep, wave: Sequence[Tried]) -> None:
        """Move the bar to what is done."""
        self.bar.total = _expected(sweep)
        self.bar.set_description(_place(sweep, wave), refresh=False)
        self.bar.set_postfix_str(_best(sweep.plan, wave), refresh=False)
        self.bar.update(_done(sweep) - self.bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


class Lines:
    """A line per epoch of a wave; of more than 50 epochs, some 50 of them and the last."""

    def __init__(self, sweep: Sweep, stream: TextIO) -> None:
        self.every, self.stream = max(1, sweep.plan.epochs // MOST_LINES), stream

    def show(self, sweep: Sweep, wave: Sequence[Tried]) -> None:
        """Print the epoch if it is its turn."""
        epoch = _epoch(wave)
        if epoch % self.every == 0 or epoch in (1, sweep.plan.epochs):
            show(f"{_place(sweep, wave)}  {_best(sweep.plan, wave)}", self.stream)

    def close(self) -> None:
        """Do nothing."""


class Nothing:
    """Shows nothing."""

    def show(self, sweep: Sweep, wave: Sequence[Tried]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def make_progress(sweep: Sweep, *, quiet: bool, stream: TextIO) -> Progress:
    """Return the bar where stderr is a terminal, else lines on the stream."""
    if quiet:
        return Nothing()
    return Bar(sweep) if sys.stderr.isatty() else Lines(sweep, stream)


def _epoch(wave: Sequence[Tried]) -> int:
    return max(trial.epochs for trial in wave)


def _place(sweep: Sweep, wave: Sequence[Tried]) -> str:
    """Return which wave it is, at which epoch, and how many nets are left of it."""
    i, waves = sweep.wave
    left = sum(len(trial.members) for trial in wave if trial.goes_on)
    number = f"wave {i}/{waves}  " if waves > 1 else ""
    return f"{number}epoch {_epoch(wave)}/{sweep.plan.epochs}  {count(left, 'net')}"


def _best(plan: Plan, wave: Sequence[Tried]) -> str:
    """Return the best validation figure of a wave, and whose it is."""
    scores = {trial.number: trial.score_at(plan.by) for trial in wave if trial.goes_on}
    order = ranked(scores)
    if not order:
        return ""
    return f"best validation {plan.by} {loss_text(abs(scores[order[0]]))} (trial {order[0]})"


def _done(sweep: Sweep) -> int:
    return sum(len(member.records) for member in sweep.members)


def _expected(sweep: Sweep) -> int:
    """Return how many epochs there will be at most, as far as is known."""
    seeds, halving = len(sweep.plan.seeds), sweep.plan.halving
    most = sum(
        trial.config.epochs * seeds
        if trial.working(trial.config.epochs)
        else sum(len(member.records) for member in trial.members)
        for trial in sweep.trials
    )
    if halving and halving.kind == "sync":
        ends = [0, *halving.rungs, sweep.plan.epochs]
        kept = [max(1, len(sweep.trials) // halving.eta**i) for i in range(len(ends) - 1)]
        lengths = [end - begin for begin, end in pairwise(ends)]
        most = min(most, seeds * sum(k * n for k, n in zip(kept, lengths, strict=True)))
    return max(_done(sweep), most)
