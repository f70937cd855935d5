#!/bin/bash
# Guess:   a column of times in a zone that no database has is refused where it is made, or at the
#          latest where a Parquet file with it is read; what is raised then names the zone.
# Instead: it is made, written and read. Cast to texts, and its years taken, it raises and names the
#          zone; to_pylist and to_pandas raise that "the zoneinfo module or pytz package must be
#          installed", on a Python that has zoneinfo; sorted, or cast to UTC, it works. Its repr
#          shows the times with the Z of UTC.
# Seen:    pyarrow 26.0.1, pandas 3.0.0 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pyarrow==26.0.1 pandas==3.0.0 numpy==2.4.6 tzdata==2025.3

"$python" - <<'PY'
import io
import zoneinfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from finding import show

file = io.BytesIO()
pq.write_table(pa.table({"when": pa.array([1, 0], pa.timestamp("us", tz="Mars/Olympus"))}), file)
read = pq.read_table(file)
column = read["when"]
show("the type that was read", str(column.type), "timestamp[us, tz=Mars/Olympus]")
show("zoneinfo is there", zoneinfo.ZoneInfo("UTC").key, "UTC")


def raised(work):
    try:
        return work()
    except pa.ArrowInvalid as error:
        return str(error)


advice = "The zoneinfo module or pytz package must be installed."
named = "Cannot locate or parse timezone 'Mars/Olympus'"
show("to_pylist", raised(column.to_pylist), advice)
show("to_pandas", raised(read.to_pandas), advice)
show("cast to texts", raised(lambda: column.cast(pa.string()))[: len(named)], named)
show("year", raised(lambda: pc.year(column))[: len(named)], named)
show("sorted", pc.sort_indices(column).to_pylist(), [1, 0])
show("repr has Z", "1970-01-01 00:00:00.000001Z" in repr(column), True)
PY
