#!/bin/bash
# Guess:   Ctrl-C during a long cast either ends it with KeyboardInterrupt or is raised right after
#          it, as for other loops of NumPy; the exception of a signal handler is not lost.
# Instead: while texts become numbers, the handler runs, its exception vanishes and the cast goes
#          on to its end: the program never learns of the Ctrl-C. Numbers to texts raise it, and
#          so does reading each text by float().
# Seen:    NumPy 2.4.6, the interrupt by a timer that ends within the cast
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6

"$python" - <<'PY'
import signal

import numpy as np
from finding import show

heard = []


def interrupt(number, frame):
    heard.append(number)
    raise KeyboardInterrupt


def what_becomes_of_it(work):
    heard.clear()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        work()
    except KeyboardInterrupt:
        return "raised"
    return "swallowed" if heard else "the work ended before"


signal.signal(signal.SIGALRM, interrupt)
numbers = np.random.default_rng(0).standard_normal(1_000_000)
texts = numbers.astype(str)
for what, work, known in (
    ("numbers to texts", lambda: numbers.astype(str), "raised"),
    ("texts to numbers", lambda: texts.astype(float), "swallowed"),
    ("float() of each text", lambda: list(map(float, texts.tolist())), "raised"),
):
    show(f"an interrupt in {what}", what_becomes_of_it(work), known)
PY
