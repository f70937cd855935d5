"""The range test: what it reads off known curves, where it must, and what it leaves untouched."""

import copy
import math

import numpy as np
import pytest
from sklearn.datasets import load_wine

import xpmlp
from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp import Config, Dataset, InputError, Rows, RunError, Trainer, fit, range_test
from xpmlp.leaves import leaves
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.range_test import LEAST_STEPS, read

RATES = np.geomspace(1e-5, 10, 240)
SMALL = Config(hidden=(6,), batch_size=8, dtype="float64")


@pytest.fixture
def numpy_backend():
    return load_or_skip("numpy")


def a_fall(at: float, width: float = 0.3) -> np.ndarray:
    """Losses that fall from 2 to 1, fastest at a rate."""
    return 1.5 - 0.5 * np.tanh((np.log10(RATES) - math.log10(at)) / width)


def test_a_curve_whose_fall_and_growth_are_known():
    losses = a_fall(0.01) + np.where(RATES > 1, 3 * np.log10(RATES), 0)
    found = read(RATES, losses)
    low, high = found.steepest
    # the slope of tanh(x / w) is half its largest where tanh² = ½
    reach = 0.3 * math.atanh(math.sqrt(0.5))
    np.testing.assert_allclose(np.log10([low, high]), [-2 - reach, -2 + reach], atol=0.2)
    assert 0.1 < found.lowest < 1.1
    assert 0.7 < found.grows_from < 1.4  # means reach a quarter of a decade ahead
    assert found.suggestion == pytest.approx(math.sqrt(0.01 * found.lowest), rel=0.2)
    assert not found.at_start


def test_noise_moves_little():
    rng = np.random.default_rng(0)
    losses = a_fall(0.01) + np.where(RATES > 1, 30 * np.log10(RATES), 0)
    noisy = [read(RATES, losses + 0.2 * rng.standard_normal(240)).suggestion for _ in range(50)]
    assert 0.01 < min(noisy) < max(noisy) < 0.3


@pytest.mark.parametrize("level", [0.0, 2.3, -5.0])
def test_losses_that_fall_nowhere_give_no_suggestion(level):
    noise = 0.1 * np.random.default_rng(1).standard_normal(240)
    found = read(RATES, level + noise)
    assert found.steepest is None
    assert math.isnan(found.suggestion)
    grown = read(RATES, level + noise + np.where(RATES > 0.1, RATES * 100, 0))
    assert math.isnan(grown.suggestion)
    assert 0.05 < grown.grows_from < 0.3


def test_a_fall_at_the_lowest_rates_and_one_without_growth_are_told():
    assert read(RATES, a_fall(1e-5)).at_start
    assert read(RATES, a_fall(0.01)).grows_from is None
    cut = read(RATES[:200], a_fall(0.01)[:200], steps=240)
    assert cut.grows_from == RATES[199]


def linear_regression(noise: float) -> tuple[Dataset, float]:
    """Return a problem that is as curved one way as the other, and that curvature, λ."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 3))
    x = 2 * np.linalg.qr(x - x.mean(axis=0))[0][:, :2] * np.sqrt(400)
    y = x @ np.array([[1.0], [-2.0]]) + 0.5 + noise * rng.standard_normal((400, 1))
    none = Rows(x[:0], y[:0])
    largest = float(np.linalg.eigvalsh(x.T @ x / len(x)).max())
    return Dataset("plane", "regression", Rows(x, y - y.mean()), none, none, ()), largest


def test_full_batches_of_a_quadratic_grow_beyond_two_over_the_largest_curvature(backend):
    """θ ← (1 - ηλ)θ shrinks the loss below η = 2/λ and grows it above, for L = ½λθ².

    Without noise nothing hides the growth. With rates that rise by a factor r the fastest mode
    has shrunk by exp(∫ln|1 - u| du/(u ln r)) before, so that it shows again at its old size at
    about 5 to 6 times the limit, whatever r is.
    """
    data, largest = linear_regression(noise=0.0)
    limit = 2 / largest
    config = Config(hidden=(), optimizer="sgd", batch_size=0, dtype="float64")
    ends = {"lowest": limit / 1e6, "highest": limit * 1e6}
    found = range_test(config, data, backend=backend, **ends)
    grows = found.losses[1:] > found.losses[:-1]
    np.testing.assert_array_equal(grows, found.rates[:-1] > limit)
    assert limit < found.reading.grows_from < 7 * limit
    assert found.suggestion < limit
    assert "growth shows late" in found.text
    kept = config.replace(learning_rate=found.suggestion, lr_schedule="constant", epochs=30)
    first = fit(kept, data, backend=backend).history.epochs[0].train_loss
    assert fit(kept, data, backend=backend).history.epochs[-1].train_loss < first


@pytest.mark.parametrize(
    "config",
    [
        Config(dataset="moons", hidden=(16,)),
        Config(dataset="moons", hidden=(16,), optimizer="adam"),
        Config(dataset="digits", hidden=(32,)),
        Config(dataset="digits", hidden=(32,), optimizer="sgd", batch_size=32),
    ],
    ids=lambda config: f"{config.dataset}-{config.optimizer or 'momentum'}",
)
@pytest.mark.filterwarnings("ignore")
def test_the_suggestion_is_better_than_a_hundredth_and_a_hundred_times_as_much(config):
    data = xpmlp.load_dataset(config.dataset)
    suggestion = range_test(config, data).suggestion

    def loss_at(rate: float) -> float:
        try:
            return fit(config.replace(learning_rate=rate, epochs=6), data).record.train_loss
        except RunError:
            return math.inf

    assert loss_at(suggestion) < 0.8 * min(loss_at(suggestion / 100), loss_at(suggestion * 100))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_is_tested(numpy_backend, optimizer):
    config = SMALL.replace(optimizer=optimizer)
    found = range_test(config, make_dataset(), backend=numpy_backend)
    assert len(found.losses) == len(found.rates) >= LEAST_STEPS
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e6) / (len(found.rates) - 1))
    assert 1e-5 < found.suggestion <= found.reading.lowest / 2.9  # a third, rounded


def test_every_backend_agrees(backend):
    config = SMALL.replace(optimizer="adamw", dropout=0.2)
    data = make_dataset()
    found = range_test(config, data, backend=backend, highest=0.1)
    reference = range_test(config, data, backend=load_or_skip("numpy"), highest=0.1)
    np.testing.assert_allclose(found.losses, reference.losses, rtol=1e-6)


def test_a_trainer_in_progress_is_left_as_it_was(backend):
    """To the bit; and it goes on as if there had been no test."""
    config = SMALL.replace(epochs=4, early_stopping=3, dropout=0.2)
    tested, other = (Trainer(config, make_dataset(), backend) for _ in range(2))
    for trainer in (tested, other):
        epochs = trainer.epochs()
        next(epochs), next(epochs)
    state, hyper = tested.state, tested.hyper
    kept = [backend.to_numpy(leaf).copy() for leaf in leaves((state, hyper))]
    generator = copy.deepcopy(tested.generator.bit_generator.state)
    found = range_test(tested, highest=1000.0)
    assert "after 2 epochs" in found.title
    assert tested.state is state
    assert tested.hyper is hyper
    for leaf, before in zip(leaves((state, hyper)), kept, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(leaf), before)
    assert tested.generator.bit_generator.state == generator
    for trainer in (tested, other):
        list(trainer.epochs())
    np.testing.assert_array_equal(tested.history.steps, other.history.steps)
    np.testing.assert_array_equal(tested.history.learning_rates, other.history.learning_rates)


def test_the_first_losses_are_those_of_the_next_epoch(numpy_backend):
    """The batches are those that the trainer would take; at tiny rates the weights stay."""
    trainer = Trainer(SMALL.replace(learning_rate=1e-12), make_dataset(), numpy_backend)
    found = range_test(trainer, lowest=1e-14, highest=1e-12)
    next(trainer.epochs())
    first = trainer.history.metric("loss")
    np.testing.assert_allclose(found.losses[: len(first)], first, rtol=1e-9)


def test_an_order_of_ones_own_is_kept(numpy_backend):
    seen = []

    def order(epoch: int) -> np.ndarray:
        seen.append(epoch)
        return np.arange(30)[::-1]

    range_test(Trainer(SMALL, make_dataset(), numpy_backend, order=order))
    assert seen == list(range(50))  # 4 steps an epoch


def test_a_table_has_its_own_defaults(tmp_path):
    wine = load_wine()
    pairs = zip(wine.data, wine.target, strict=True)
    rows = [",".join(map(str, [*x, wine.target_names[y]])) for x, y in pairs]
    path = tmp_path / "wine.csv"
    path.write_text("\n".join([",".join([*wine.feature_names, "cultivar"]), *rows]))
    found = range_test(Config(dataset=str(path), hidden=(16,)), lowest=1e-4)
    assert found.title.startswith("learning-rate range test on wine.csv: 13-16-3")
    assert found.about.startswith("adamw, batch 16")
    assert 1e-4 < found.suggestion < 1


def test_a_divergence_ends_the_test(numpy_backend):
    data, _ = linear_regression(noise=0.1)
    config = Config(hidden=(), optimizer="sgd", batch_size=50, dtype="float64")
    found = range_test(config, data, backend=numpy_backend, highest=1e8)
    assert len(found.losses) < found.measured.steps
    assert np.isfinite(found.losses).all()
    assert "no longer finite after" in found.text
    assert found.reading.grows_from < found.rates[-1]
    assert found.suggestion < 1
    figures = found.as_dict()
    assert figures["steps"] == len(figures["rates"]) == len(figures["smoothed"])


def test_a_loss_that_is_not_finite_before_any_step_is_an_error(numpy_backend):
    data, _ = linear_regression(noise=0.1)
    huge = data.train.y * 1e200
    bad = Dataset("huge", "regression", Rows(data.train.x, huge), data.test, data.test, ())
    with pytest.raises(RunError, match="before any step"):
        range_test(Config(hidden=(), dtype="float64"), bad, backend=numpy_backend)


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        ((SMALL.replace(seeds=2), make_dataset()), {}, "one net; give it seed=…, not seeds"),
        ((SMALL, make_dataset()), {"lowest": 0.0}, "rise from above 0, got 0 to 10"),
        ((SMALL, make_dataset()), {"lowest": 1.0, "highest": 0.1}, "got 1 to 0.1"),
        ((SMALL, make_dataset()), {"highest": math.inf}, "got 1e-05 to inf"),
        ((SMALL, make_dataset()), {"highest": math.nan}, "got 1e-05 to nan"),
    ],
)
def test_bad_input(arguments, options, expected):
    with pytest.raises(InputError, match=expected):
        range_test(*arguments, **options)


def test_a_trainer_comes_alone(numpy_backend):
    trainer = Trainer(SMALL, make_dataset(), numpy_backend)
    with pytest.raises(InputError, match="give it alone"):
        range_test(trainer, make_dataset())


def test_it_shows_itself_in_few_lines_and_in_a_picture(numpy_backend):
    found = range_test(SMALL, make_dataset(), backend=numpy_backend)
    assert repr(found) == found.text
    assert len(found.text.splitlines()) <= 7
    assert "<li>" in found._repr_html_()
    assert f"begin with {found.suggestion:g}" in found.text
    figure = found.plot()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.losses)
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), found.rates)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"suggestion: {found.suggestion:g}" in labels
    other = type(figure)(figsize=(8, 4))
    _, right = other.subplots(1, 2)
    assert found.plot(ax=right) is right
    assert right.lines
