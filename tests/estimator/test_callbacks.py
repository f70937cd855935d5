"""Callbacks of the estimators: told of each epoch, alone, in pipelines and searches."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xpmlp import Callback, MLPClassifier, MLPRegressor
from xpmlp.errors import InputError

X, Y = load_iris(return_X_y=True)


class Told(Callback):
    def __init__(self, every=None, last=None):
        self.every, self.last, self.seen = every, last, []

    def before_training(self, trainer):
        self.seen.append("begin")

    def after_steps(self, steps):
        self.seen.append(-steps.step)

    def after_epoch(self, trainer, record):
        self.seen.append(record.epoch)
        return record.epoch == self.last

    def after_training(self, trainer):
        self.seen.append("end")


def net(kind=MLPClassifier, **options):
    return kind(hidden_layer_sizes=(5,), max_iter=3, batch_size=60, random_state=0, **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_fit_tells_them_and_learns_the_same(kind):
    told = Told(every=4)
    one, other = net(kind).fit(X, Y, callbacks=told), net(kind).fit(X, Y)
    assert told.seen == ["begin", 1, -4, 2, -8, 3, "end"]
    assert all(map(np.array_equal, one.coefs_, other.coefs_))


def test_one_that_stops_ends_the_training_and_nothing_is_warned_of():
    told = Told(last=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = net().fit(X, Y, callbacks=[told])
    assert (model.n_iter_, model.converged_) == (2, False)
    assert told.seen == ["begin", 1, 2, "end"]


def test_they_hear_of_the_end_where_the_loss_diverges():
    told = Told()
    with pytest.raises(ValueError, match="non-finite"):
        net(solver="sgd", learning_rate_init=1e300).fit(1e10 * X, Y, callbacks=told)
    assert told.seen == ["begin", "end"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_pipeline_a_search_and_a_clone():
    told = Told()
    make_pipeline(StandardScaler(), net()).fit(X, Y, mlpclassifier__callbacks=[told])
    assert told.seen == ["begin", 1, 2, 3, "end"]
    told.seen.clear()
    search = GridSearchCV(clone(net()), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=1)
    search.fit(X, Y, callbacks=[told])
    assert told.seen == ["begin", 1, 2, 3, "end"] * 5  # two by two, and the best on all rows


def test_lbfgs_has_none_and_others_are_refused():
    with pytest.raises(InputError, match="callbacks need solver sgd or adam; lbfgs has no epochs"):
        net(solver="lbfgs").fit(X, Y, callbacks=Told())
    with pytest.raises(InputError, match="callbacks must be objects of subclasses of"):
        net().fit(X, Y, callbacks=[3])
