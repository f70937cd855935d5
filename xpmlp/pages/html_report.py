"""A run's report: one HTML page that stands alone, for browsers, phones and paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpmlp import __version__
from xpmlp.files import write_whole
from xpmlp.pages.parts import Markup, element, joined, picture, whole_page
from xpmlp.pages.tables import (
    class_table,
    columns_table,
    interval_text,
    machine_table,
    mean_text,
    mistakes_table,
    results_table,
    seeds_table,
    settings_tables,
    values_tables,
)
from xpmlp.training.config import Config
from xpmlp.training.finished import FinishedRun
from xpmlp.training.texts import count, loss_text

REPORT, CONFIG = "report.html", "config.toml"
PICTURES = {
    "epochs": "After each epoch: the loss and, where there are classes, the accuracy",
    "loss-per-step": "Loss of the batch of each step, and its running mean",
    "gradient-magnitude": "Magnitude of each layer's gradient at each step",
    "first-layer-weights": "Weights into units of the first layer, as images",
    "decision-regions": "Decision regions: the class that is predicted at each point",
    "confusion-matrix": "Confusion matrix: how many test rows of each class went to which",
    "calibration": "Calibration: how much of the test rows was right, by how sure the net was",
    "predicted-against-true": "Predicted against true values of the test rows",
    "misclassified": "Test rows that were got wrong with the most certainty",
}
TERMS = {
    "epoch, step": "An epoch is one pass over the training rows; a step is one update of the "
    "weights, from one batch of them.",
    "loss": "What training lowers: how far predictions are from the truth. Lower is better; it "
    "compares nets only under the same loss.",
    "accuracy": "The share of rows whose class was predicted right.",
    "train, validation, test": "The net learns from the training rows alone. Validation rows show "
    "how it goes meanwhile, and choose the epoch under early stopping; test rows are looked at "
    "once, at the end.",
    "95 % interval": "Wilson's interval: the accuracies over all possible rows that go with what "
    "was seen over these. It knows nothing of other seeds.",
    "magnitude of the gradient": "The Euclidean norm of a layer's gradient: near zero nothing is "
    "learnt, and a steep rise comes before divergence.",
    "precision, recall, F1": "Of the rows predicted as a class the share that is of it; of the "
    "rows of a class the share predicted as it; the harmonic mean of both.",
    "expected calibration error": "Test rows are put into 15 bins by the probability of the "
    "class that was predicted; how far the mean probability of a bin is from the share of its rows "
    "that are right, on average over the rows.",
    "mean ± sd": "Mean and standard deviation (of a sample) over the seeds.",
}


@dataclass(frozen=True)
class RunPage:
    """What a page is made of.

    runs: one, or the nets of several seeds. summary: as in summary.json. pictures: PNG by name.
    """

    runs: Sequence[FinishedRun]
    config: Config
    summary: Mapping[str, Any]
    pictures: Mapping[str, bytes]

    @property
    def dataset(self) -> str:
        """The name of the data set; of a file, without its folder."""
        return Path(self.runs[0].data.name).name

    @property
    def net(self) -> str:
        """The widths from the inputs to the outputs."""
        return self.runs[0].model.widths

    def html(self) -> str:
        """Return the whole page."""
        several = len(self.runs) > 1 or bool(self.config.seeds)
        run, summary = self.runs[0], dict(self.summary)
        sections = {
            "Results": joined(
                [
                    seeds_table(summary) if several else results_table(run, summary),
                    *self._caveats(),
                ]
            ),
            "Training": self._pictures("epochs", "loss-per-step", "gradient-magnitude"),
            "What was learnt": self._pictures("first-layer-weights", "decision-regions"),
            "Test rows": Markup() if several else self._test_rows(run),
            "Columns": columns_table(run.data.about),
            "Other pictures": self._pictures(*(p for p in self.pictures if p not in PICTURES)),
            "Settings": joined([_SETTINGS_NOTE, settings_tables(self.config)]),
            "Machine and speed": machine_table(summary),
            "Reproduce": self._reproduce(),
            "Terms": _terms(several, bool(run.model.class_names), "calibration" in self.pictures),
        }
        footer = f"Written by xpmlp {__version__}. This page loads nothing from anywhere."
        return whole_page(f"{self.net} on {self.dataset}", self._lead(several), sections, footer)

    def _lead(self, several: bool) -> Markup:
        sentence = _seeds_sentence(self) if several else _sentence(self)
        return element("p", sentence, "lead")

    def _caveats(self) -> list[str]:
        """Return what to know about the results, a paragraph each."""
        failed = self.summary.get("failed_seeds") or {}
        notes = [f"Seed {seed} failed: {why}." for seed, why in failed.items()]
        if why := self.summary.get("failure"):
            notes.append(f"Training failed: {why}.")
        notes += [note[:1].upper() + note[1:] + "." for note in self.runs[0].data.note.splitlines()]
        if reason := self.summary.get("fallback_reason"):
            notes.append(f"Trained on the CPU, as there was no CUDA: {reason}.")
        return [element("p", note, "note") for note in notes]

    def _pictures(self, *names: str) -> Markup:
        """Return the pictures that there are, each with what it shows."""
        shown = [(self.pictures[n], PICTURES.get(n, n)) for n in names if n in self.pictures]
        return joined([picture(png, f"{text}.", text) for png, text in shown])

    def _test_rows(self, run: FinishedRun) -> Markup:
        worst = self._pictures("misclassified") or mistakes_table(run)
        parts = [
            self._pictures("confusion-matrix", "calibration", "predicted-against-true"),
            _titled("Each class", class_table(run)),
            _titled("Errors", values_tables(run)),
            _titled("Worst mistakes", worst),
        ]
        return joined([part for part in parts if part])

    def _reproduce(self) -> Markup:
        command = f"python -m xpmlp.train --config {CONFIG}"
        about = (
            f"With the {CONFIG} of the run's folder. The same versions on the same machine give "
            "the same figures; others may differ by rounding, which grows with the steps."
        )
        return joined(
            [
                element("pre", element("code", command)),
                element("p", about),
                Markup("<details>"),
                element("summary", CONFIG),
                element("pre", element("code", self.config.to_toml())),
                Markup("</details>"),
            ]
        )


def save_report(page: RunPage, path: Path) -> Path:
    """Write a page and return its path."""
    write_whole(path, page.html())
    return path


def read_pictures(paths: Sequence[Path]) -> dict[str, bytes]:
    """Return pictures by their names."""
    return {path.stem: path.read_bytes() for path in paths}


def _sentence(page: RunPage) -> str:
    """Return what came of the run of one net, in a sentence."""
    run, summary = page.runs[0], page.summary
    epochs = count(summary["epochs"], "epoch")
    after = f"after {epochs} of training"
    if run.best_epoch:
        after = f"with the weights of epoch {run.best_epoch} of {summary['epochs']}"
    net, loss, accuracy = f"This {page.net} net", summary["test_loss"], summary["test_accuracy"]
    if loss is None:
        trained = summary["train_loss"]
        reached = f" reached a training loss of {loss_text(trained)}" if trained else " was trained"
        return f"{net}{reached} on {page.dataset}, {after}. There are no test rows."
    rows = f"the {count(len(run.data.test), 'test row')} of {page.dataset}"
    if accuracy is None:
        name = run.model.loss.replace("_", " ")
        return f"{net} has a {name} of {loss_text(loss)} over {rows}, {after}."
    interval = interval_text(accuracy, run.data.test)
    within = f" (95 % interval: {interval})" if interval else ""
    return f"{net} has an accuracy of {accuracy:.4f}{within} over {rows}, {after}."


def _seeds_sentence(page: RunPage) -> str:
    """Return what came of the nets of several seeds, in a sentence."""
    summary, rows = page.summary, len(page.runs[0].data.test)
    nets = f"{count(len(summary['seeds']), 'net')} {page.net}, alike but for their seed,"
    where = f"over the {count(rows, 'test row')} of {page.dataset}" if rows else "in training"
    part = "test" if rows else "train"
    for kind, article in (("accuracy", "an accuracy"), ("loss", "a loss")):
        if figure := summary[f"{part}_{kind}"]:
            return (
                f"{nets} have {article} of {mean_text(figure)} {where}: mean ± standard "
                f"deviation, from {loss_text(figure['lowest'])} to {loss_text(figure['highest'])}."
            )
    return f"{nets} were trained on {page.dataset}."


_SETTINGS_NOTE = element(
    "p", "Highlighted: not the default, or an automatic choice, shown as what it came to."
)


def _titled(title: str, body: str) -> Markup:
    return joined([element("h3", title), body]) if body else Markup()


def _terms(several: bool, classify: bool, calibrated: bool) -> Markup:
    """Return the terms that the page uses, explained."""
    unused = set() if classify else {"accuracy", "95 % interval", "precision, recall, F1"}
    unused |= {"95 % interval", "precision, recall, F1"} if several else {"mean ± sd"}
    unused |= set() if calibrated else {"expected calibration error"}
    terms = [
        joined([element("dt", term), element("dd", text)])
        for term, text in TERMS.items()
        if term not in unused
    ]
    return joined([Markup("<dl>"), *terms, Markup("</dl>")])
