"""Tables for estimators: their columns become numbers in front of one, as `train` makes them."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from xpmlp.data.blocks import Columns
from xpmlp.data.dataset import SCALES
from xpmlp.data.tables.known import Known, read_known
from xpmlp.data.tables.matching import match
from xpmlp.data.tables.preparing import feature_names, fit_rules, fit_scaling, matrix
from xpmlp.data.tables.reading import read_raw
from xpmlp.data.tables.roles import choose_features
from xpmlp.data.tables.typed import typed_columns
from xpmlp.errors import InputError, unknown_name


def table_pipeline(estimator: Any, scale: str = "auto") -> Pipeline:
    """Return a scikit-learn pipeline that takes tables: `TableColumns`, then the estimator.

    estimator: such as `xpmlp.MLPClassifier()`, or any of scikit-learn's. scale: of numbers and
    dates, as `--scale`. Fit it with a table of pandas, polars or pyarrow without the label.
    """
    return Pipeline([("columns", TableColumns(scale)), ("estimator", estimator)])


class TableColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The columns of a table as a matrix: numbers scaled, texts to a column each, gaps filled.

    scale: none, center, unit, standard, robust, quantile or auto. After `fit`, `rules_` has what
    becomes of each column, and `left_out_` those that tell nothing, by name, with the reason.
    """

    def __init__(self, scale: str = "auto") -> None:
        self.scale = scale

    def fit(self, X: Any, y: Any = None) -> "TableColumns":  # noqa: ARG002
        """Learn the types of the columns, their texts, medians and scales.

        Columns that tell nothing, such as identifiers, are left out with a warning. Raises
        InputError for columns that can't be used.
        """
        if self.scale not in SCALES:
            raise unknown_name("scale", self.scale, SCALES)
        raw = read_raw(X)
        places = tuple(range(len(raw.names)))
        columns = typed_columns(raw, places)
        features = choose_features(raw, columns, places, asked=False)
        self.left_out_ = {raw.names[place]: why for place, why in features.left_out.items()}
        if self.left_out_:
            listed = ", ".join(f"{name!r} ({why})" for name, why in self.left_out_.items())
            warnings.warn(f"columns left out: {listed}", UserWarning, stacklevel=2)
        kept = [columns[place] for place in features.kept]
        self.rules_ = fit_rules(kept)
        self.scaling_ = fit_scaling(self.rules_, kept, scale=self.scale)
        self.feature_names_in_ = np.array(raw.names, dtype=object)
        self.n_features_in_ = len(raw.names)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the matrix (N, D), float64. Raises InputError for columns that are missing."""
        check_is_fitted(self)
        names = tuple(rule.name for rule in self.rules_)
        known = Known(self.rules_, Columns(len(names), names), tuple(self.left_out_))
        raw = read_raw(X)
        order, _ = match(raw, known.columns, known.label)
        x = matrix(self.rules_, read_known(raw, order, known), scaling=self.scaling_)
        if not np.isfinite(x).all():
            raise InputError("the table has numbers that are too large")
        return x

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002
        """Return the names of the matrix's columns, (D,)."""
        check_is_fitted(self)
        return np.array(feature_names(self.rules_), dtype=object)
