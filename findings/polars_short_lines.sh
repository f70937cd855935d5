#!/bin/bash
# Guess:   a CSV reader that refuses a line with a field too many refuses one with a field too few.
# Instead: polars raises for the first and fills the second with nulls, without a warning: a file
#          that was cut off within a line looks like one with gaps. pyarrow refuses both.
# Seen:    polars 2.1.0, pyarrow 26.0.1 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" polars==2.1.0 pyarrow==26.0.1 numpy==2.4.6

"$python" - <<'PY'
import io

import polars as pl
import pyarrow as pa
from finding import show
from pyarrow import csv


def by_polars(text):
    try:
        return pl.read_csv(io.StringIO(text)).rows()
    except pl.exceptions.ComputeError:
        return "refused"


def by_pyarrow(text):
    try:
        return csv.read_csv(pa.py_buffer(text.encode())).to_pylist()
    except pa.ArrowInvalid as error:
        return str(error).partition(": ")[2]


long, short = "a,b,c\n1,2,3\n4,5,6,7\n", "a,b,c\n1,2,3\n4,5\n"
show("polars, a field too many", by_polars(long), "refused")
show("polars, a field too few", by_polars(short), [(1, 2, 3), (4, 5, None)])
show("pyarrow, a field too many", by_pyarrow(long), "Expected 3 columns, got 4: 4,5,6,7")
show("pyarrow, a field too few", by_pyarrow(short), "Expected 3 columns, got 2: 4,5")
PY
