"""Tables in front of estimators: the same numbers as `train` makes of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import xpmlp
from xpmlp.errors import InputError


def table(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows).round(3)
    kind = rng.choice(["flat", "house", "barn"], rows)
    frame = pd.DataFrame({"size": size, "kind": kind})
    frame.loc[::10, "size"] = np.nan
    return frame, np.where((size > 0) ^ (kind == "barn"), "dear", "cheap")


def test_the_matrix_is_that_of_the_command():
    frame, label = table()
    data = xpmlp.load_dataset(frame.assign(label=label), validation=0, dtype="float64")
    assert data.feature_names == ("size", "size missing", "kind=barn", "kind=flat", "kind=house")
    columns = xpmlp.table_pipeline(LogisticRegression()).fit(frame, label)[:-1]
    assert tuple(columns.get_feature_names_out()) == data.feature_names
    x = columns.transform(frame)
    np.testing.assert_array_equal(x[:, 2:].sum(axis=1), 1)
    np.testing.assert_array_equal(x[:, 1], frame["size"].isna())
    known = columns.transform(frame.dropna().iloc[:, ::-1])
    np.testing.assert_array_equal(known, x[frame["size"].notna()])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_of_both_kinds_in_cross_validation():
    frame, label = table(300)
    model = xpmlp.table_pipeline(xpmlp.MLPClassifier((16,), max_iter=200, random_state=0))
    with np.errstate(all="raise"):
        scores = cross_val_score(
            clone(model).set_params(columns__scale="standard"), frame, label, cv=3
        )
    assert scores.mean() > 0.8


def test_columns_that_tell_nothing_are_named():
    frame, label = table()
    model = xpmlp.table_pipeline(LogisticRegression())
    with pytest.warns(UserWarning, match=r"columns left out: 'id' \(counts the rows\)"):
        model.fit(frame.assign(id=np.arange(len(frame))), label)
    assert len(model.predict(frame)) == len(frame)


def test_what_is_refused():
    frame, label = table()
    model = xpmlp.table_pipeline(LogisticRegression()).fit(frame, label)
    with pytest.raises(InputError, match="lacks 'kind'"):
        model.predict(frame[["size"]])
    with pytest.raises(InputError, match="unknown scale 'rank'"):
        xpmlp.table_pipeline(LogisticRegression(), scale="rank").fit(frame, label)
