#!/bin/bash
# Guess:   filters given to pq.read_table or pd.read_parquet find the rows that filtering the
#          table after reading finds; how the file was cut into row groups decides the speed.
# Instead: a row group whose other numbers are all equal, to 1 say, counts as 1 throughout, as its
#          statistics leave NaN out: `is_nan` and `!= 1` don't find the NaN in it. The same
#          numbers cut elsewhere have it. polars finds it in either file.
# Seen:    pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 numpy==2.4.6

"$python" - <<'PY'
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from finding import show

nan = float("nan")
table = pa.table({"epoch": [0, 1, 2, 3], "accuracy": [0.5, 1.0, nan, 1.0]})
accuracy = pc.field("accuracy")
for rows, is_nan, not_one in ((4, [2], [0, 2]), (2, [], [0])):
    pq.write_table(table, "history.parquet", row_group_size=rows)
    print(f"row groups of {rows}:")

    def found(filters):
        return pq.read_table("history.parquet", filters=filters)["epoch"].to_pylist()

    show("  pyarrow, is_nan", found(pc.is_nan(accuracy)), is_nan)
    show("  pyarrow, != 1", found(accuracy != 1), not_one)
    frame = pd.read_parquet("history.parquet", filters=[("accuracy", "!=", 1.0)])
    show("  pandas, != 1", frame["epoch"].tolist(), not_one)

    whole = pq.read_table("history.parquet")
    show("  read, then is_nan", whole.filter(pc.is_nan(accuracy))["epoch"].to_pylist(), [2])
    frame = pd.read_parquet("history.parquet")
    show("  read, then != 1", frame[frame["accuracy"] != 1]["epoch"].tolist(), [0, 2])
    lazy = pl.scan_parquet("history.parquet")
    for name, condition, epochs in (
        ("is_nan", pl.col("accuracy").is_nan(), [2]),
        ("!= 1", pl.col("accuracy") != 1, [0, 2]),
    ):
        show(f"  polars, {name}", lazy.filter(condition).collect()["epoch"].to_list(), epochs)
PY
