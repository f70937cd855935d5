"""The recipe in quick mode, on the course's files and without them, and its checks by hand."""

import numpy as np
import pytest

from tests.conftest import UNCOMPILED_BACKENDS, load_or_skip
from xpmlp.pictures.style import save
from xpmlp.recipes import psu_xor_spiral_iris
from xpmlp.recipes.base import Golden, Results, Setting, Training, train
from xpmlp.recipes.demonstrations import all_correct
from xpmlp.recipes.psu_xor_spiral_iris import (
    BENT,
    IRIS,
    LONG,
    RECIPE,
    SPIRALS,
    STOPPED,
    XOR,
    all_spirals,
    check_nets,
    course_iris,
    factor_two,
    linear_xor_fails,
    linear_xor_is_undecided,
    secant,
)
from xpmlp.recipes.verdicts import judge

NOWHERE = "generated"


@pytest.fixture(scope="module", params=[NOWHERE, "course files"])
def folder(request, tmp_path_factory):
    """A data folder with the course's files, and one without."""
    if request.param == NOWHERE:
        return tmp_path_factory.mktemp("empty")
    folder = request.getfixturevalue("data_dir")
    if not (folder / "ist597").is_dir():
        pytest.skip("the data folder has no ist597/")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    setting = Setting(backend="numpy", device="cpu", data_dir=folder, quick=True)
    return Results(setting, {name: train(t, setting) for name, t in RECIPE.trainings.items()})


def xor_results(backend: str) -> Results:
    """The net 2-8-2 after one epoch on XOR."""
    load_or_skip(backend)
    setting = Setting(backend=backend, device="cpu")
    return Results(setting, {"xor": train(Training(XOR.replace(epochs=1, seeds=(0,))), setting)})


def test_quick_verdicts(results):
    rows = judge(RECIPE.checks, results)
    assert [row.quantity for row in rows if row.verdict not in ("exact", "holds")] == []
    assert len(rows) == 14


def test_every_net_is_checked_before_training(results):
    ((_, text),) = ((table.title, table.text(results)) for table in RECIPE.tables)
    lines = text.splitlines()[1:]
    assert len(lines) == 2 * (1 + 2 + 1 + 2 + 2 + 3)
    assert all(line.endswith("CORRECT") for line in lines)


def test_early_stopping_keeps_the_best_of_the_long_training(results):
    for long, stopped in zip(results.runs(*LONG), results.runs(*STOPPED), strict=True):
        seen = len(stopped.history.epochs)
        losses = long.history.epoch_values("validation_loss")[:seen]
        assert seen == stopped.record.epoch + 40
        assert stopped.record.epoch == 1 + np.argmin(losses)


def test_all_spirals_are_training_rows(folder):
    data = all_spirals(SPIRALS.replace(data_dir=str(folder)))
    assert (len(data.train), len(data.validation), len(data.test)) == (300, 0, 0)
    np.testing.assert_array_equal(np.bincount(data.train.y), [100] * 3)


def test_the_40_rows_of_iris_validate_and_the_110_alone_scale(folder):
    data = course_iris(IRIS.replace(data_dir=str(folder), early_stopping=5))
    assert (len(data.train), len(data.validation)) == (110, 40)
    assert data.validation is data.test
    rounding = 110 * np.finfo(np.float64).eps
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=rounding)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, rtol=rounding)
    assert abs(data.validation.x.mean(axis=0)).min() > rounding


def test_full_runs_have_ten_seeds():
    for training in RECIPE.trainings.values():
        assert {len(group) for group in training.configs(Setting()).values()} == {10}


@pytest.mark.parametrize("name", UNCOMPILED_BACKENDS)
def test_golden_figures_and_gradients_on_every_backend(name):
    results = xor_results(name)
    golden = [check for check in RECIPE.checks if isinstance(check, Golden)]
    assert [row.verdict for row in judge(golden, results)] == ["exact"]
    assert all_correct(check_nets(results))[0]
    assert factor_two(results)[0]


def test_the_secant_of_a_cube():
    """((w + ε)³ - (w - ε)³) / 2ε = 3w² + ε², with ε = 1e-4."""
    W = np.array([[1.0, -2.0, 0.0]])
    slopes = secant(lambda w: np.sum(w**3, axis=(-2, -1)), W)
    np.testing.assert_allclose(slopes, 3 * W**2 + 1e-8, atol=1e-11)


def test_a_gradient_of_twice_the_size_is_not_that_of_half_the_squares(monkeypatch):
    right = psu_xor_spiral_iris.add_penalty_gradient

    def doubled(xp, grads, params, l2, l1):
        return right(xp, grads, params, 2 * l2, l1)

    monkeypatch.setattr(psu_xor_spiral_iris, "add_penalty_gradient", doubled)
    assert not factor_two(xor_results("numpy"))[0]


def test_a_net_that_solves_xor_is_not_undecided(results):
    solved = results.trained["xor, one hidden layer"]
    mixed = Results(results.setting, {"xor, softmax regression": solved})
    assert not linear_xor_fails(mixed)[0]
    assert not linear_xor_is_undecided(mixed)[0]


def test_a_strong_penalty_straightens_the_boundary(results):
    accuracies = [
        [run.record.train_accuracy for run in runs]
        for runs in results.trained[BENT.training].values()
    ]
    assert max(accuracies[2]) < 0.9 < min(accuracies[1]) <= max(accuracies[0])


@pytest.mark.parametrize("picture", RECIPE.pictures, ids=lambda picture: picture.name)
def test_pictures_are_drawn(results, picture, tmp_path):
    assert save(picture.draw(results), tmp_path / "picture.png").stat().st_size > 10_000


def test_the_source_of_the_rows_is_told(tmp_path):
    def told(name):
        return psu_xor_spiral_iris.source(IRIS.replace(dataset=name, data_dir=str(tmp_path)))

    assert told("xor") == "from the truth table"
    assert told("iris") == "from scikit-learn"
    (tmp_path / "ist597").mkdir()
    (tmp_path / "ist597/iris_train.dat").touch()
    assert told("iris") == "from scikit-learn"
    (tmp_path / "ist597/iris_test.dat").touch()
    assert told("iris") == "from the course's files"
    assert told("spirals") == "from their formula"
