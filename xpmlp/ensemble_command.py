"""What `train --ensemble N` does: N nets of drawn options, the mean of the best as a model."""

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from xpmlp import __version__
from xpmlp.backends.registry import Selection
from xpmlp.console import show, warn, warnings_as_notes
from xpmlp.data.dataset import Dataset
from xpmlp.errors import EXIT_INTERRUPTED, InputError, RunError
from xpmlp.evaluation.evaluating import report_on
from xpmlp.evaluation.rows import part_of
from xpmlp.files import write_whole
from xpmlp.interrupt import graceful_interrupt
from xpmlp.runs.directory import ENSEMBLE, MODEL, RunDirectory
from xpmlp.search.ensemble_training import EnsembleTraining
from xpmlp.search.ranges import Ranges, fixed_in
from xpmlp.training.compiling import decided
from xpmlp.training.config import Config
from xpmlp.training.ensemble import Ensemble
from xpmlp.training.texts import count, loss_text

if TYPE_CHECKING:
    from xpmlp.runs.lock import FolderLock

MOST_NETS = 10_000
PROGRAM = "xpmlp train"
OTHER_RUNS = ("seeds", "initial", "freeze")


def check_ensemble(arguments: argparse.Namespace, config: Config) -> None:
    """Raise InputError for what can't go with --ensemble."""
    if not 1 <= arguments.ensemble <= MOST_NETS:
        raise InputError(f"--ensemble {arguments.ensemble}: must be from 1 to {MOST_NETS:,} nets")
    given = [f"--{name}" for name in OTHER_RUNS if getattr(config, name)]
    if given:
        raise InputError(f"--ensemble draws nets that begin at random; leave {given[0]} out")


@dataclass(frozen=True)
class EnsembleRun:
    """A training of an ensemble that writes its folder.

    asked: the config before anything was filled in: what it names is the same for all nets.
    """

    arguments: argparse.Namespace
    asked: Config
    config: Config
    data: Dataset
    selection: Selection

    def run(self, lock: "FolderLock", assumed: str) -> int:
        """Train, save and tell; return the exit code."""
        random = np.random.default_rng(self.config.seed)
        fixed = fixed_in(self.asked)
        configs = Ranges().draw(self.config, self.arguments.ensemble, random, fixed)
        with warnings_as_notes():
            training = EnsembleTraining(
                configs, self.data, self.selection.backend, self.config.early_stopping
            )
        config = decided(self.config, training.trainers[0].problem.decision)
        directory = RunDirectory.create(self.arguments.out, config, lock, assumed)
        self._write(directory, {"nets": len(configs), "finished": False})
        began = time.perf_counter()
        interrupted = self._train(training)
        if training.selected is None:
            raise RunError(f"interrupted before the first epoch; {directory.path} has no ensemble")
        ensemble = training.ensemble()
        figures = self._figures(training, ensemble, time.perf_counter() - began)
        figures |= {"interrupted": interrupted, "run_dir": str(directory.path)}
        self._save(directory, training, ensemble, figures)
        self._tell(figures, directory)
        if interrupted:
            warn(f"{PROGRAM}: interrupted; the best ensemble so far is in {directory.path}")
        return EXIT_INTERRUPTED if interrupted else 0

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self.arguments.json else sys.stdout

    def _train(self, training: EnsembleTraining) -> bool:
        """Train until the end or a wish to stop; tell whether one came."""
        with graceful_interrupt() as stop:
            try:
                for epoch in training.epochs():
                    if not self.arguments.quiet:
                        show(epoch.text(), self._stream)
                    if stop.requested:
                        break
            except KeyboardInterrupt:
                stop.requested = True
            return stop.requested and not training.finished

    def _save(
        self,
        directory: RunDirectory,
        training: EnsembleTraining,
        ensemble: Ensemble,
        figures: dict[str, Any],
    ) -> None:
        """Write the model, what each net was, and at last the summary."""
        epochs = [epoch._asdict() for epoch in training.history]
        problems = directory.begin_results()
        ensemble.save(directory.path / MODEL)
        about = {"nets": len(training.trainers), "finished": True}
        self._write(directory, {**about, "epochs": epochs, "members": training.table()})
        problems += directory.save_summary(figures)
        if problems:
            raise RunError(f"can't write {'; '.join(problems)}")

    def _write(self, directory: RunDirectory, found: dict[str, Any]) -> None:
        write_whole(directory.path / ENSEMBLE, json.dumps(found, indent=2, allow_nan=False) + "\n")

    def _figures(
        self, training: EnsembleTraining, ensemble: Ensemble, seconds: float
    ) -> dict[str, Any]:
        best, about = training.selected, self.selection.backend.describe()
        assert best is not None
        return {
            "dataset": self.data.name,
            **{name: about[name] for name in ("backend", "device", "dtype", "library")},
            "device_requested": self.selection.device_requested,
            "fallback_reason": self.selection.fallback_reason,
            "seed": self.config.seed,
            "nets": len(training.trainers),
            "selected": len(ensemble.nets),
            "parameters": ensemble.n_parameters,
            "epochs": len(training.history),
            "best_epoch": best.epoch,
            "validation_loss": best.loss,
            "best_net_loss": min(epoch.best_net_loss for epoch in training.history),
            **self._tested(ensemble),
            "seconds": seconds,
            "peak_memory_bytes": self.selection.backend.memory(),
            "python": platform.python_version(),
            "xpmlp": __version__,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _tested(self, ensemble: Ensemble) -> dict[str, Any]:
        """Return the measures over the test rows, without any where there are none."""
        if not len(self.data.test):
            return {}
        measures = report_on(ensemble, part_of(self.data)).measures
        return {f"test_{name}": value for name, value in measures.items()}

    def _tell(self, figures: dict[str, Any], directory: RunDirectory) -> None:
        if self.arguments.json:
            if not show(json.dumps(figures, indent=2, allow_nan=False), sys.stdout):
                raise RunError("can't write the JSON to stdout")
        elif not self.arguments.quiet:
            show(_text(figures, directory), self._stream)


def _text(figures: dict[str, Any], directory: RunDirectory) -> str:
    """Return the lines for people."""
    tested = [
        f"{name.removeprefix('test_').replace('_', ' ')} {loss_text(value)}"
        for name, value in figures.items()
        if name.startswith("test_") and value is not None
    ]
    lines = [
        f"ensemble    {figures['selected']} of {count(figures['nets'], 'net')}, "
        f"{figures['parameters']:,} parameters, of epoch {figures['best_epoch']} of "
        f"{figures['epochs']}",
        f"validation  loss {loss_text(figures['validation_loss'])}, "
        f"{loss_text(figures['best_net_loss'])} of the best net alone",
        f"test        {', '.join(tested)}" if tested else "",
        f"results in {directory.path}",
    ]
    return "\n".join(filter(None, lines))
