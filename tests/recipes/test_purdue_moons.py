"""The recipe in quick mode, its rows, and that its two identities hold on every backend."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

from tests.conftest import UNCOMPILED_BACKENDS, load_or_skip
from xpmlp.nn import affine
from xpmlp.pictures.style import save
from xpmlp.recipes.base import Results, Setting, Training, train
from xpmlp.recipes.demonstrations import untrained
from xpmlp.recipes.purdue_moons import (
    CONFIG,
    RECIPE,
    ascent_is_descent,
    bias_is_a_weight,
    published_moons,
)
from xpmlp.recipes.verdicts import judge

IDENTITIES = (bias_is_a_weight, ascent_is_descent)


@pytest.fixture(scope="module")
def results():
    setting = Setting(backend="numpy", device="cpu", quick=True)
    return Results(setting, {name: train(t, setting) for name, t in RECIPE.trainings.items()})


def tiny_results(backend: str) -> Results:
    """One net 2-5-4-2 after one step."""
    load_or_skip(backend)
    setting = Setting(backend=backend, device="cpu")
    tiny = Training(CONFIG.replace(hidden=(5, 4), seeds=(0,), epochs=1), data=published_moons)
    return Results(setting, {"moons": train(tiny, setting)})


def test_quick_verdicts(results):
    published, *properties = judge(RECIPE.checks, results)
    assert published.verdict == "not judged (quick)"
    assert len(published.values) == 3
    assert [row.verdict for row in properties] == ["holds", "holds"]


def test_the_net_is_the_published_one(results):
    (config, *_), *others = RECIPE.trainings["moons"].configs(Setting()).values()
    assert config.compile == "never"
    assert not others
    assert (config.learning_rate, config.epochs, config.optimizer) == (0.1, 50, "sgd")
    run = results.runs("moons")[0]
    assert run.model.sizes == (2, 100, 100, 2)
    assert run.model.activations == ("sigmoid", "sigmoid")
    assert run.trainer.steps_per_epoch == 1
    start = untrained(run)
    for leaf in (start.params[1].W, start.params[1].b):
        deviation = leaf.std()
        assert abs(deviation - 1) < 4 / np.sqrt(2 * leaf.size)


def test_the_rows_are_the_published_ones():
    x, y = make_moons(n_samples=5000, noise=0.1, random_state=42)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=42)
    data = published_moons(CONFIG)
    np.testing.assert_array_equal(data.train.x, x_train)
    np.testing.assert_array_equal(data.train.y, y_train)
    np.testing.assert_array_equal(data.test.x, x_test)
    np.testing.assert_array_equal(data.test.y, y_test)
    assert (len(data.train), len(data.validation), len(data.test)) == (3500, 0, 1500)


@pytest.mark.parametrize("name", UNCOMPILED_BACKENDS)
def test_the_identities_hold_on_every_backend(name):
    results = tiny_results(name)
    for identity in IDENTITIES:
        assert identity(results)[0], identity.__name__


def test_the_identities_fail_where_db_is_wrong(monkeypatch):
    results = tiny_results("numpy")
    right = affine.backward

    def twice_db(xp, x, dz):
        grads = right(xp, x, dz)
        return grads._replace(b=2 * grads.b)

    monkeypatch.setattr(affine, "backward", twice_db)
    assert not bias_is_a_weight(results)[0]


def test_ascent_at_another_rate_is_not_the_descent(monkeypatch):
    results = tiny_results("numpy")
    monkeypatch.setattr(
        "xpmlp.recipes.purdue_moons.CONFIG", CONFIG.replace(learning_rate=0.1 + 1e-9)
    )
    assert not ascent_is_descent(results)[0]


@pytest.mark.parametrize("picture", RECIPE.pictures, ids=lambda picture: picture.name)
def test_pictures_are_drawn(results, picture, tmp_path):
    assert save(picture.draw(results), tmp_path / "picture.png").stat().st_size > 10_000
