#!/bin/bash
# Guess:   a categorical column of polars, taken over by pyarrow without a copy, is a dictionary
#          column like any other: it can be cast to texts, or decoded.
# Instead: its dictionary is of the type string_view, for which pyarrow has no kernel to take
#          entries by their places: cast and dictionary_decode raise ArrowNotImplementedError. The
#          dictionary cast to texts first, then taken from, gives the column.
# Seen:    polars 2.1.0, pyarrow 26.0.1 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" polars==2.1.0 pyarrow==26.0.1 numpy==2.4.6

"$python" - <<'PY'
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from finding import show

frame = pl.DataFrame({"kind": pl.Series(["oak", "elm", "oak"], dtype=pl.Categorical)})
column = pa.table(frame)["kind"]
show("its type", str(column.type.value_type), "string_view")
for name, work in (
    ("cast", lambda: column.cast(pa.string())),
    ("dictionary_decode", lambda: pc.dictionary_decode(column)),
):
    try:
        seen = work().to_pylist()
    except pa.ArrowNotImplementedError as error:
        seen = type(error).__name__
    show(name, seen, "ArrowNotImplementedError")
chunk = column.chunk(0)
texts = chunk.dictionary.cast(pa.string()).take(chunk.indices)
show("cast, then taken", texts.to_pylist(), ["oak", "elm", "oak"])
PY
