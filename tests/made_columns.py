"""Typed columns for tests, by hand and by hypothesis."""

import numpy as np
from hypothesis import strategies as st

from xpmlp.data.tables.columns import Column

TENTHS = st.integers(-50, 50).map(lambda tenths: tenths / 10)


def number(name, *values):
    """A column of numbers, None where one is missing."""
    return Column(name, "number", np.array(values, dtype=np.float64), notation="plain")


def date(name, *days):
    """A column of dates: days as texts, None where one is missing."""
    days = np.array(["NaT" if day is None else day for day in days], "datetime64[D]")
    values = np.where(np.isnat(days), np.nan, days.astype(np.int64))
    return Column(name, "date", values.astype(np.float64), notation="YYYY-MM-DD")


def yes_or_no(name, *texts, levels=("no", "yes")):
    """A column of two texts, None where one is missing."""
    values = [np.nan if text is None else levels.index(text) for text in texts]
    return Column(name, "yes/no", np.array(values, dtype=np.float64), levels)


def category(name, *texts, levels=None):
    """A column of texts, None where one is missing, -2 where one is none of the levels."""
    levels = levels or tuple(sorted({text for text in texts if isinstance(text, str)}))
    places = [{None: -1, -2: -2}.get(t, levels.index(t) if t in levels else t) for t in texts]
    return Column(name, "category", np.array(places, dtype=np.int32), levels)


@st.composite
def tables(draw, least_rows=3):
    """Columns of all kinds with missing entries, and how many of their rows are to be fitted."""
    n = draw(st.integers(least_rows, 40))
    columns = []
    for place in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["number", "date", "yes/no", "category"]))
        entries = {
            "number": TENTHS,
            "date": st.integers(-9000, 20_000).map(float),
            "yes/no": st.sampled_from([0.0, 1.0]),
            "category": st.integers(0, draw(st.integers(0, 7))),
        }[kind]
        missing = -1 if kind == "category" else np.nan
        if draw(st.booleans()):
            entries = st.one_of(st.just(missing), entries)
        values = np.array(draw(st.lists(entries, min_size=n, max_size=n)))
        levels = ()
        if kind == "category":
            levels, values = tuple("abcdefgh"), values.astype(np.int32)
        elif kind == "yes/no":
            levels = ("no", "yes")
        columns.append(Column(f"c{place}", kind, values, levels))
    return columns, draw(st.integers(1, n))
