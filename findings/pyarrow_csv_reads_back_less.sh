#!/bin/bash
# Guess:   a library's CSV reader reads what its own writer wrote; another library at least knows
#          a column of numbers.
# Instead: pyarrow writes NaN as `nan` and reads that as a missing entry; by polars the whole
#          column is texts. A missing entry in a table of one column is an empty line, which
#          pyarrow skips: there are fewer rows than were written, beside others' labels. pandas
#          writes "" there, by which polars takes that column for texts.
# Seen:    pyarrow 26.0.1, polars 2.1.0, pandas 3.1.1 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pyarrow==26.0.1 polars==2.1.0 pandas==3.1.1 numpy==2.4.6

"$python" - <<'PY'
import io

import pandas as pd
import polars as pl
import pyarrow as pa
from finding import show
from pyarrow import csv


def written(table):
    file = io.BytesIO()
    csv.write_csv(table, file)
    return file.getvalue()


def by_pyarrow(text):
    return csv.read_csv(pa.py_buffer(text))["loss"].to_pylist()


nan = float("nan")
text = written(pa.table({"epoch": [0, 1, 2], "loss": [0.5, nan, 0.25]}))
show("written with NaN", text, b'"epoch","loss"\n0,0.5\n1,nan\n2,0.25\n')
show("read by pyarrow", by_pyarrow(text), [0.5, None, 0.25])
show("read by polars", pl.read_csv(text)["loss"].to_list(), ["0.5", "nan", "0.25"])
text = pl.DataFrame({"epoch": [0, 1], "loss": [0.5, nan]}).write_csv().encode()
show("NaN of polars, read by pyarrow", by_pyarrow(text), [0.5, None])

text = written(pa.table({"loss": [0.5, None, 0.25]}))
show("one column, written", text, b'"loss"\n0.5\n\n0.25\n')
show("read by pyarrow", by_pyarrow(text), [0.5, 0.25])
show("read by pandas", pd.read_csv(io.BytesIO(text))["loss"].tolist(), [0.5, 0.25])
show("read by polars", pl.read_csv(text)["loss"].to_list(), [0.5, None, 0.25])

text = pd.DataFrame({"loss": [0.5, None, 0.25]}).to_csv(index=False).encode()
show("one column, written by pandas", text, b'loss\n0.5\n""\n0.25\n')
show("read by pyarrow", by_pyarrow(text), [0.5, None, 0.25])
show("read by polars", pl.read_csv(text)["loss"].to_list(), ["0.5", "", "0.25"])
PY
