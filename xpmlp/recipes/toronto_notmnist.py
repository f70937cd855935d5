"""`toronto-notmnist`: a wide hidden layer on letters, by gradient descent with momentum."""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.recipes.base import (
    Picture,
    Property,
    Published,
    Recipe,
    Results,
    Table,
    Training,
    values,
)
from xpmlp.recipes.demonstrations import distance, epoch_curve, untrained
from xpmlp.recipes.formulas import momentum_forms_agree, relu_slope_holds
from xpmlp.recipes.numbers import error_text
from xpmlp.runs.run import Run
from xpmlp.training.config import Config
from xpmlp.training.setup import load_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOUT = """
A net of 784-1000-10, ReLU and a softmax output, on images of the letters A to J, 28×28 pixels
from 0 to 1: 200 steps of gradient descent over all training rows at once, with momentum 0.9,
rate 0.1 and the mean cross-entropy as its loss.

**Where the source contradicts itself, and which way this goes**

- *Initial weights.* The text asks for Xavier's variance, 2/(inputs + outputs of the layer). The
  program's helper divides by the inputs and the outputs **that it is handed**, and these are those
  of the net's neighbours: 2/(784 + 10) for the first layer instead of 2/(784 + 1000), and
  2/(1000 + 1) for the second instead of 2/(1000 + 10). The published figures come from the
  program, so its deviations are used.
- *The derivative of ReLU.* The text writes sign(S), which is -1 where S < 0; the program, rightly,
  1[S > 0] (`xpmlp/DERIVATION.md`, "relu").
- *Velocity.* There v ← γv + α∇ and W ← W - v, from v = 10⁻⁵; here v ← μv + g and W ← W - ηv, so
  that their v is ours times the rate, and ours starts at 10⁻⁵/0.1 = 10⁻⁴
  (`xpmlp/DERIVATION.md`, "momentum").

**The rows may be others.** The course hands out an archive, `notMNIST.npz`, of which its program
trains on 10,000 images, with 6,000 to validate. Where that file is in the data folder, the training
"as loaded" is the published one. Else our 10,000 images are others, of which 6,000 train and 2,000
validate, shuffled anew for each seed; which of them are in the course's archive is not known. Two
more trainings tell whether the number of training rows explains a figure that misses the published
one: one adds the test rows to the training rows and keeps the validation rows, the other trains on
all rows. Some images occur more than once, so that a random split leaves the same image on both
sides; a table counts them, and gives the accuracy without them.
"""

AS_LOADED, MORE, ALL = "as loaded", "with the test rows", "all rows"
COURSE_ROWS = 10_000
MORE_IMPROVES = "more training rows improve both validation figures"
COUNT_EXPLAINS = "the number of training rows explains the {}"
PARTS = {"train": "training", "validation": "validation"}
FIGURES = {
    f"{part}_{figure}": f"{label} {figure}"
    for part, label in PARTS.items()
    for figure in ("loss", "accuracy")
}
PUBLISHED = {
    "train_loss": 0.0918,
    "train_accuracy": 0.9842,
    "validation_loss": 0.3018,
    "validation_accuracy": 0.9143,
}
TRAINED = ("train_loss", "train_accuracy")
NETS = Config(
    dataset="notmnist",
    scale="unit",
    hidden=(1000,),
    activation=("relu",),
    init="normal",
    init_std=(math.sqrt(2 / (784 + 10)), math.sqrt(2 / (1000 + 1))),
    optimizer="momentum",
    momentum=0.9,
    init_velocity=1e-4,
    learning_rate=0.1,
    lr_schedule="constant",
    batch_size=0,
    epochs=200,
    seeds=tuple(range(10)),
)
QUICK = {"seeds": (0, 1), "epochs": 6}


def with_test_rows(config: Config) -> Dataset:
    """Load the letters with the test rows among the training rows."""
    data = load_for(config)
    none = Rows(data.test.x[:0], data.test.y[:0])
    return replace(data, train=joined(data.train, data.test), test=none)


def all_rows(config: Config) -> Dataset:
    """Load the letters with all rows among the training rows."""
    data = with_test_rows(config)
    return replace(data, train=joined(data.train, data.validation), validation=data.test)


def joined(first: Rows, second: Rows) -> Rows:
    """Return two parts as one."""
    return Rows(np.concatenate([first.x, second.x]), np.concatenate([first.y, second.y]))


TRAININGS = {
    AS_LOADED: Training(NETS, resplit=True, quick=QUICK),
    MORE: Training(
        NETS.replace(seeds=tuple(range(5))), data=with_test_rows, resplit=True, quick=QUICK
    ),
    ALL: Training(NETS, data=all_rows, resplit=True, quick=QUICK),
}


# The number of training rows.


def measured(results: Results, training: str, figure: str) -> list[float]:
    """Return a figure for each seed."""
    return values(results.runs(training), figure)


def compared(training: str, figures: Iterable[str]) -> list[Published]:
    """Return published figures beside those of a training."""
    return [
        Published(
            f"{FIGURES[figure]}, {training}",
            PUBLISHED[figure],
            partial(measured, training=training, figure=figure),
            explanation(figure) if training == AS_LOADED else "",
        )
        for figure in figures
    ]


def explanation(figure: str) -> str:
    """Return the property that explains a figure of other rows than the course's."""
    return COUNT_EXPLAINS.format(FIGURES[figure]) if figure in TRAINED else MORE_IMPROVES


def row_counts(results: Results) -> dict[str, int]:
    """Return each training's number of training rows."""
    return {name: len(results.runs(name)[0].trainer.data.train) for name in TRAININGS}


def count_explains(results: Results, figure: str) -> tuple[bool, str]:
    """Tell whether a figure moves one way with the rows, and fits best at the course's count."""
    counts = row_counts(results)
    means = {name: float(np.mean(measured(results, name, figure))) for name in counts}
    steps = np.diff(list(means.values()))
    nearest = min(counts, key=lambda name: abs(counts[name] - COURSE_ROWS))
    best = min(means, key=lambda name: abs(means[name] - PUBLISHED[figure]))
    seen = ", ".join(f"{mean:.4f} with {counts[name]:,}" for name, mean in means.items())
    one_way = bool((steps > 0).all() or (steps < 0).all())
    return one_way and best == nearest, f"{seen} training rows"


def more_rows_help(results: Results) -> tuple[bool, str]:
    """Tell whether more training rows improve the figures of the same validation rows."""
    gains = {}
    for name in ("loss", "accuracy"):
        few, many = (measured(results, run, f"validation_{name}") for run in (AS_LOADED, MORE))
        gains[name] = float(np.mean(np.subtract(many, few[: len(many)])))
    seen = ", ".join(f"{name} {gain:+.4f}" for name, gain in gains.items())
    return gains["loss"] < 0 < gains["accuracy"], f"{seen}, mean of the same validation rows"


# Images that occur more than once.


def twins(data: Dataset) -> np.ndarray:
    """Return whether each validation row equals a training row, (N,)."""
    known = {row.tobytes() for row in data.train.x}
    return np.array([row.tobytes() in known for row in data.validation.x])


def accuracy_without_twins(run: Run) -> float:
    """Return the accuracy of the validation rows that equal no training row."""
    rows, alone = run.trainer.data.validation, ~twins(run.trainer.data)
    right = run.model.predict(Rows(rows.x[alone], rows.y[alone])) == rows.y[alone]
    return float(right.mean())


def twin_table(results: Results) -> str:
    """Return how many images occur more than once, and how many are on both sides of a split."""
    runs = results.runs(AS_LOADED)
    sets = [run.trainer.data for run in runs]
    images = np.concatenate([part.x for part in (sets[0].train, sets[0].validation, sets[0].test)])
    _, counts = np.unique(images, axis=0, return_counts=True)
    leaked = [int(twins(data).sum()) for data in sets]
    whole, rest = values(runs, "validation_accuracy"), [accuracy_without_twins(r) for r in runs]
    return "\n".join(
        [
            f"images                                       {len(images):>7,}",
            f"that repeat another                          {counts.sum() - len(counts):>7,}",
            f"different images that occur more than once   {np.sum(counts > 1):>7,}",
            f"most often one image occurs                  {counts.max():>7,}",
            f"validation rows of a split                   {len(sets[0].validation):>7,}",
            f"with a twin among its training rows          {np.mean(leaked):>7.1f}"
            f"  (mean of {len(leaked)} splits, {min(leaked)} to {max(leaked)})",
            f"accuracy on all validation rows              {np.mean(whole):>7.4f}",
            f"on those without a twin                      {np.mean(rest):>7.4f}",
        ]
    )


def initial_spread(results: Results) -> tuple[bool, str]:
    """Tell whether every W₁ began with the deviation of the program's helper, to within 3 %."""
    helper, text = NETS.init_std[0], math.sqrt(2 / (784 + 1000))
    drawn = [float(untrained(run).params[0].W.std()) for run in results.runs(AS_LOADED)]
    close = all(abs(std / helper - 1) < 0.03 for std in drawn)
    return close, f"{np.mean(drawn):.4f}; the text's formula gives {text:.4f}"


def initial_scale(results: Results) -> tuple[bool, str]:
    """Tell whether W₂ began as √(2/1001) times the N(0, 1) of the same seed, but for rounding.

    Its own deviation could not tell √(2/1001) from the text's √(2/1010).
    """
    errors = []
    for run in results.runs(AS_LOADED):
        W, normal = untrained(run).params[1].W, untrained(run, init_std=(1.0,)).params[1].W
        errors.append(distance(W, NETS.init_std[1] * normal))
    exact = max(errors) < float(np.finfo(W.dtype).eps)
    return exact, f"relative difference: {error_text(max(errors))}"


# Pictures.


def draw_epochs(results: Results) -> "Figure":
    """Draw loss and accuracy of training and validation rows."""
    from xpmlp.pictures.curves import epoch_curves

    losses, accuracies = (
        [
            epoch_curve(label, results.runs(AS_LOADED), f"{part}_{figure}")
            for part, label in PARTS.items()
        ]
        for figure in ("loss", "accuracy")
    )
    return epoch_curves(losses, accuracies)


def draw_counts(results: Results) -> "Figure":
    """Draw loss and accuracy against the number of training rows, with the published ones."""
    from xpmlp.pictures.style import PALETTE, dress, integer_ticks, legend_below, new_figure

    figure, counts = new_figure(10, 4.4), row_counts(results)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        dress(axes, "training rows", name)
        for (part, label), colour in zip(PARTS.items(), PALETTE, strict=False):
            chosen = [training for training in counts if part == "train" or training != ALL]
            found = [values(results.runs(training), f"{part}_{name}") for training in chosen]
            axes.errorbar(
                [counts[training] for training in chosen],
                [np.mean(seeds) for seeds in found],
                [np.std(seeds, ddof=1) for seeds in found],
                color=colour,
                marker="o",
                capsize=4,
                label=f"{label}, mean ± standard deviation",
            )
            axes.plot(
                COURSE_ROWS,
                PUBLISHED[f"{part}_{name}"],
                "*",
                markersize=16,
                markerfacecolor="none",
                markeredgecolor=colour,
                markeredgewidth=1.5,
                zorder=4,
                label=f"{label}, published",
            )
        integer_ticks(axes.xaxis, 5)
    legend_below(figure, figure.axes[0].get_legend_handles_labels()[0], columns=2)
    return figure


def draw_weights(results: Results) -> "Figure":
    """Draw the first layer after training, and what training changed."""
    from xpmlp.pictures.weights import weight_panels

    run = results.runs(AS_LOADED)[0]
    W = run.model.params[0].W
    change = W - untrained(run).params[0].W
    return weight_panels([("after training", W), ("change in training", change)], (28, 28))


RECIPE = Recipe(
    name="toronto-notmnist",
    title="A thousand ReLU units on letters, by gradient descent with momentum",
    source="University of Toronto, ECE 421, assignment 2",
    about=ABOUT,
    trainings=TRAININGS,
    checks=(
        *compared(AS_LOADED, PUBLISHED),
        *compared(ALL, TRAINED),
        *(
            Property(
                COUNT_EXPLAINS.format(FIGURES[figure]),
                partial(count_explains, figure=figure),
                quick=False,
            )
            for figure in TRAINED
        ),
        Property(MORE_IMPROVES, more_rows_help, quick=False),
        Property("the derivative of ReLU is 1[S > 0], not sign(S)", relu_slope_holds),
        Property(
            "both forms of momentum take one path, from v = 10⁻⁵ and 10⁻⁴", momentum_forms_agree
        ),
        Property("W₁ begins with the standard deviation √(2/794)", initial_spread),
        Property("W₂ begins as √(2/1001) times the same seed's N(0, 1)", initial_scale),
    ),
    pictures=(
        Picture("epochs", "Loss and accuracy, the rows as loaded.", draw_epochs),
        Picture(
            "training-rows",
            "Loss and accuracy against the number of training rows; the stars are published.",
            draw_counts,
        ),
        Picture(
            "first-layer-weights",
            "The weights into 64 of the hidden units, and what training changed (first seed).",
            draw_weights,
        ),
    ),
    tables=(Table("Images that occur more than once", twin_table),),
)
