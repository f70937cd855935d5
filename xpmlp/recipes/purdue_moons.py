"""`purdue-moons`: two sigmoid layers of 100 units on half moons, by gradient ascent."""

from typing import TYPE_CHECKING

import numpy as np

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.toy import moon_rows
from xpmlp.leaves import map_leaves
from xpmlp.nn.losses import one_hot, softmax
from xpmlp.nn.network import backward, forward, loss_and_grads
from xpmlp.recipes.base import Picture, Property, Published, Recipe, Results, Training, values
from xpmlp.recipes.demonstrations import distance, epoch_curve, untrained
from xpmlp.recipes.numbers import error_text
from xpmlp.runs.fitting import fit
from xpmlp.runs.run import Run
from xpmlp.training.config import Config
from xpmlp.types import Affine, Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOUT = """
A net 2-100-100-2, sigmoid hidden layers and a softmax output, learns to tell two half moons apart:
3,500 training and 1,500 test rows, made and split by scikit-learn with the published seeds. Every
weight and every bias starts as N(0, 1). Each of 50 steps takes all rows, at the rate 0.1.

- **Ascent and descent.** The assignment climbs the mean log-likelihood, this library descends the
  mean negative log-likelihood. That is the same step, as the second property shows.
- **Biases.** The assignment calls a bias the weight of a neuron that is always one, and draws and
  trains it as such. Here it is an array of its own, and the first property shows that both have the
  same gradient.
- **Derivation.** Both, and the gradients of the two sigmoid layers, weights and biases separately,
  are in `xpmlp/DERIVATION.md`, "B. Two sigmoid hidden layers, softmax output".
- **Seed.** The one that drew the published weights is unknown. With weights this large the outcome
  of 50 steps depends much on the draw: see the spread.
"""

CONFIG = Config(
    dataset="moons",
    validation=0,
    hidden=(100, 100),
    activation=("sigmoid",),
    init="normal",
    init_std=(1.0,),
    init_bias_std=1.0,
    optimizer="sgd",
    learning_rate=0.1,
    lr_schedule="constant",
    batch_size=0,
    epochs=50,
    seeds=tuple(range(30)),
    dtype="float64",
)


def published_moons(config: Config) -> Dataset:
    """Return make_moons(5000, noise=0.1) and train_test_split(test_size=0.3), both of seed 42."""
    from sklearn.model_selection import train_test_split

    x, y = moon_rows(np.random.RandomState(42), rows=5000, noise=0.1)
    x_train, x_test, y_train, y_test = train_test_split(
        x.astype(config.dtype), y, test_size=0.3, random_state=42
    )
    train, test, none = Rows(x_train, y_train), Rows(x_test, y_test), Rows(x[:0], y[:0])
    return Dataset(
        config.dataset, "classification", train, none, test, ("0", "1"), feature_names=("x1", "x2")
    )


def first_run(results: Results) -> Run:
    """Return the run of the first seed."""
    return results.runs("moons")[0]


# The two identities of the assignment.


def bias_is_a_weight(results: Results) -> tuple[bool, str]:
    """Tell whether db is the gradient of a row of weights from a neuron that is always one.

    For every layer: the net from there on, its input widened by a column of ones, its weights by
    the row b, its bias zero.
    """
    run, backend = first_run(results), results.backend()
    xp, model, rows = backend.xp, run.model, run.trainer.data.train
    errors = []
    with backend.running():
        params, batch = backend.put((model.params, Batch(rows.x, rows.y)))
        loss, names = model.loss, model.activations
        exact = loss_and_grads(xp, params, batch, activations=names, loss=loss).grads
        _, kept = forward(xp, params, batch.x, names)
        for i, a in enumerate((batch.x, *(layer.a for layer in kept))):
            W, b = params[i]
            widened = Affine(xp.concat([W, b[None, :]]), xp.zeros_like(b))
            net = (widened, *params[i + 1 :])
            inputs = batch._replace(x=xp.concat([a, xp.ones_like(a[:, :1])], axis=1))
            grads = loss_and_grads(xp, net, inputs, activations=names[i:], loss=loss).grads
            errors.append(distance(*backend.fetch((grads[0].W[-1, :], exact[i].b))))
    shown = ", ".join(f"layer {i} {error_text(error)}" for i, error in enumerate(errors, start=1))
    return max(errors) < rounding(rows), f"relative difference: {shown}"


def ascent_is_descent(results: Results) -> tuple[bool, str]:
    """Tell whether a step up the mean log-likelihood is the trainer's step down its negative.

    The log-likelihood's gradient by the last pre-activations is (t - p) / N.
    """
    run, backend = first_run(results), results.backend()
    xp, model, rows = backend.xp, untrained(run), run.trainer.data.train
    with backend.running():
        params, batch = backend.put((model.params, Batch(rows.x, rows.y)))
        z, kept = forward(xp, params, batch.x, model.activations)
        dz = (one_hot(xp, batch.t, z.shape[-1], like=z) - softmax(xp, z)) / len(rows)
        slope = backward(xp, params, batch.x, kept, dz, model.activations)
        climbed = map_leaves(lambda leaf, up: leaf + CONFIG.learning_rate * up, params, slope)
        ascended = backend.fetch(climbed)
    config = run.trainer.config.replace(epochs=1)
    descended = fit(
        config, run.trainer.data, backend=backend, initial=model.params, verbose=False
    ).model.params
    errors = map_leaves(distance, ascended, descended)
    largest = max(max(layer) for layer in errors)
    return largest < rounding(
        rows
    ), f"largest relative difference of an array: {error_text(largest)}"


def rounding(rows: Rows) -> float:
    """Return what a sum over rows may lose to rounding, relative to its terms."""
    return float(len(rows) * np.finfo(np.float64).eps)


# Pictures.


def draw_data(results: Results) -> "Figure":
    """Draw training and test rows."""
    from xpmlp.pictures.regions import Panel, decision_panels

    data = first_run(results).trainer.data
    return decision_panels(
        [Panel("training rows", None, data.train), Panel("test rows", None, data.test)]
    )


def draw_regions(results: Results) -> "Figure":
    """Draw what the net makes of the plane before and after training."""
    from xpmlp.pictures.regions import Panel, decision_panels

    run = first_run(results)
    test, steps = run.trainer.data.test, len(run.history.epochs)
    return decision_panels(
        [
            Panel("before training", untrained(run), test, predicted=True),
            Panel(f"after {steps} steps", run.model, test, predicted=True),
        ]
    )


def draw_loss(results: Results) -> "Figure":
    """Draw loss and accuracy of the training rows after each step."""
    from xpmlp.pictures.curves import epoch_curves

    runs = results.runs("moons")
    return epoch_curves(
        [epoch_curve("training rows", runs, "train_loss")],
        [epoch_curve("training rows", runs, "train_accuracy")],
    )


RECIPE = Recipe(
    name="purdue-moons",
    title="Two sigmoid layers on half moons",
    source="Purdue University, CS 69000-DPL Deep Learning, spring 2020, homework 1",
    about=ABOUT,
    trainings={
        "moons": Training(CONFIG, data=published_moons, quick={"seeds": (0, 1, 2), "epochs": 10})
    },
    checks=(
        Published(
            "test accuracy",
            0.9393,
            lambda results: values(results.runs("moons"), "test_accuracy"),
        ),
        Property("a bias is the weight of a neuron that is always one", bias_is_a_weight),
        Property(
            "a step up the mean log-likelihood is a step down its negative", ascent_is_descent
        ),
    ),
    pictures=(
        Picture("moons-data", "The half moons: training and test rows.", draw_data),
        Picture(
            "moons-regions",
            "What the net says of the plane before and after training (first seed); test points "
            "in the colour of their predicted class.",
            draw_regions,
        ),
        Picture(
            "moons-loss",
            "Loss and accuracy of the training rows after each step; an epoch is one step.",
            draw_loss,
        ),
    ),
)
