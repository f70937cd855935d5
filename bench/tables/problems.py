"""The tables, as files, and scikit-learn's usual pipeline on the same splits."""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.places import VARIABLE
from xpmlp.errors import DataUnavailableError


@dataclass(frozen=True)
class Problem:
    """A table.

    label: the column to learn, the last where "". loader: scikit-learn's function whose rows are
    written out; else a file of this name lies in the folder `tables` of the data.
    goal: for accuracy how much above the peer at least, for errors at most which share of its.
    None: no worse than the peer within the spread of the splits.
    """

    name: str
    loader: str = ""
    label: str = ""
    regression: bool = False
    goal: float | None = None


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("adult", goal=0.002),
        Problem("housing", label="median_house_value", regression=True, goal=0.95),
        Problem("digits", "load_digits"),
        Problem("iris", "load_iris"),
        Problem("breast-cancer", "load_breast_cancer"),
        Problem("wine", "load_wine"),
        Problem("diabetes", "load_diabetes", regression=True),
    )
}


def make_file(problem: Problem, folder: Path) -> Path:
    """Return the file of a table, written into a folder where scikit-learn carries it.

    Raises DataUnavailableError where it is to be supplied and is not there.
    """
    if not problem.loader:
        where = Path(os.environ.get(VARIABLE) or ".") / "tables" / f"{problem.name}.csv"
        if not where.is_file():
            raise DataUnavailableError(f"{where} is not there; set {VARIABLE}")
        return where
    from sklearn import datasets

    data = getattr(datasets, problem.loader)()
    names = [str(name) for name in data.feature_names]
    labels = data.target if problem.regression else np.asarray(data.target_names)[data.target]
    path = folder / f"{problem.name}.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*names, "label of the row"])
        table.writerows([*x, y] for x, y in zip(data.data.tolist(), labels.tolist(), strict=True))
    return path


def fit_ours(problem: Problem, path: Path, seed: int) -> float:
    """Return the figure of a run with default settings: accuracy, or root mean square error."""
    from xpmlp.evaluation.reports import ValueReport
    from xpmlp.runs.fitting import fit
    from xpmlp.training.config import Config

    run = fit(Config(dataset=str(path), label=problem.label or None, data_seed=seed, seed=seed))
    report = run.evaluate()
    if isinstance(report, ValueReport):
        return report.root_mean_square_error
    return float(report.measures["accuracy"] or 0.0)


def fit_peer(problem: Problem, path: Path, seed: int) -> float:
    """Return the same of scikit-learn's net, in its usual pipeline, on the same test rows.

    Numbers: median, indicators, standardised; texts: one column each, the missing one too. It
    takes its own tenth of all other rows for early stopping; values are standardised.
    """
    import pandas as pd
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.read_csv(path, skipinitialspace=True, na_values=["?"])
    label = problem.label or frame.columns[-1]
    y, x = frame.pop(label).to_numpy(), frame
    rest, test = parted_rows(y, seed, problem.regression)
    numbers = make_column_selector(dtype_include="number")
    texts = make_column_selector(dtype_exclude="number")
    columns = ColumnTransformer(
        [
            (
                "n",
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
                ),
                numbers,
            ),
            ("t", OneHotEncoder(handle_unknown="ignore"), texts),
        ]
    )
    if problem.regression:
        net: Any = TransformedTargetRegressor(
            MLPRegressor(early_stopping=True, random_state=seed), transformer=StandardScaler()
        )
    else:
        net = MLPClassifier(early_stopping=True, random_state=seed)
    model = make_pipeline(columns, net).fit(x.iloc[rest], y[rest])
    predicted = model.predict(x.iloc[test])
    if problem.regression:
        return float(np.sqrt(np.mean((predicted - y[test]) ** 2)))
    return float(np.mean(predicted == y[test]))


def parted_rows(y: np.ndarray, seed: int, regression: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the rows that train or validate, and of those that test."""
    from xpmlp.data.source import Source
    from xpmlp.data.splits import split

    places = np.arange(len(y))
    classes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    target = y[:, None].astype(float) if regression else classes
    task: Any = "regression" if regression else "classification"
    train, _, test = split(Source("", task, places, target), 0, seed)
    return train[0], test[0]


FITS: dict[str, Callable[[Problem, Path, int], float]] = {"xpmlp": fit_ours, "peer": fit_peer}
