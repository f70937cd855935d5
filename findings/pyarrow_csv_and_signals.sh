#!/bin/bash
# Guess:   where a program's own handler takes a SIGINT and only notes it, a reading in progress
#          goes on, as NumPy's and Python's own loops do.
# Instead: read_csv of pyarrow puts a handler of its own before it, stops, lets the program's
#          handler run, and raises ArrowCancelled, although the program chose not to stop. The same
#          bytes, read again, are all there.
# Seen:    pyarrow 26.0.1, the signal from a thread that sends it within the reading
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pyarrow==26.0.1 numpy==2.4.6

"$python" - <<'PY'
import signal
import threading

import pyarrow as pa
from finding import show
from pyarrow import csv

ROWS = 10_000_000
noted = []
signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
data = pa.py_buffer(b"a,b\n" + b"1.5,2.5\n" * ROWS)


def read():
    try:
        return len(csv.read_csv(data))
    except pa.ArrowCancelled:
        return "ArrowCancelled"


threading.Timer(0.02, signal.raise_signal, [signal.SIGINT]).start()
seen = read()
show("the program's handler was called", bool(noted), True)
show("a reading in which it was", seen, "ArrowCancelled")
show("the next reading", read(), ROWS)
PY
