#!/bin/bash
# Guess:   read_csv of pyarrow treats blanks around entries alike: it strips them, or it doesn't.
# Instead: a number is stripped, a spelling of a missing value is not: ' 1.5 ' is 1.5, and ' NA',
#          with NA in null_values, is refused as an invalid number, whose message shows it without
#          the blank. Files that write a blank after each comma need ' NA' in the list too.
# Seen:    pyarrow 26.0.1 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pyarrow==26.0.1 numpy==2.4.6

"$python" - <<'PY'
import pyarrow as pa
from finding import show
from pyarrow import csv


def read(entry, *missing):
    options = csv.ConvertOptions(column_types={"x": pa.float64()}, null_values=missing)
    text = pa.py_buffer(f"x\n1.5\n{entry}\n".encode())
    try:
        return csv.read_csv(text, convert_options=options)["x"].to_pylist()[1]
    except pa.ArrowInvalid as error:
        return str(error).rpartition(": ")[2]


show("a number between blanks", read(" 1.5 ", "NA"), 1.5)
show("NA", read("NA", "NA"), None)
show("NA behind a blank", read(" NA", "NA"), "invalid value 'NA'")
show("the same, with ' NA' listed", read(" NA", "NA", " NA"), None)
PY
