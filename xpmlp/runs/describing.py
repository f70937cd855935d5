"""A run in a few lines: as text, and as a small table for notebooks."""

from collections.abc import Iterator

from xpmlp.described import Lines, as_html, as_text
from xpmlp.training.evaluation import Score
from xpmlp.training.finished import FinishedRun
from xpmlp.training.texts import loss_text, training_text


def run_text(run: FinishedRun) -> str:
    """Return a finished run in a few lines; no data is loaded and nothing computed."""
    return as_text(run.title, _lines(run))


def run_html(run: FinishedRun) -> str:
    """Return the same as a small HTML table, without scripts."""
    return as_html(run.title, _lines(run))


def _lines(run: FinishedRun) -> Lines:
    config, done = run.config, len(run.history.epochs)
    batch = f"{config.batch_size:,}" if config.batch_size else "of all rows"
    best = f", best weights from epoch {run.best_epoch}" if run.best_epoch else ""
    cut = ", then interrupted" if run.interrupted else ""
    return [
        ("net", run.model.net_line),
        ("training", f"{training_text(config, batch)}, seed {config.seed}"),
        *_rates(run),
        ("epochs", f"{done} of {config.epochs} done{cut}{best}"),
        *((name, _score_text(score)) for name, score in _scores(run)),
    ]


def _rates(run: FinishedRun) -> Lines:
    """Return the line of the learning rates where they were set, or planned anew, on the way."""
    if len(run.plans) < 2:
        return []
    first, *later = run.plans
    changes = [f"from epoch {plan.since + 1} on {plan.learning_rate:g}" for plan in later[-3:]]
    return [("rates", ", ".join([f"{first.learning_rate:g}", *["…"] * (len(later) > 3), *changes]))]


def _scores(run: FinishedRun) -> Iterator[tuple[str, Score]]:
    """Yield what is known of loss and accuracy over each part of the data."""
    if record := run.record:
        yield "train", Score(record.train_loss, record.train_accuracy)
        if record.validation_loss is not None:
            yield "validation", Score(record.validation_loss, record.validation_accuracy)
    if run.test_score:
        yield "test", run.test_score


def _score_text(score: Score) -> str:
    loss = f"loss {loss_text(score.loss)}"
    return loss if score.accuracy is None else f"{loss}, accuracy {score.accuracy:.4f}"
