#!/bin/bash
# Guess:   numexpr computes "w - 0.1 * g" of float32 arrays in float32, as NumPy does for the same
#          text, only in blocks and on several threads.
# Instead: a decimal constant is float64 and makes the whole expression so, result included; a
#          whole number doesn't. A constant that is a np.float32 keeps float32.
# Seen:    numexpr 2.14.2, NumPy 2.4.6: float64; NumPy by itself, "2 * w", and np.float32: float32
# Source:  https://numexpr.readthedocs.io/en/latest/user_guide.html, "Casting rules";
#          numexpr/expressions.py, getKind and ConstantNode
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 numexpr==2.14.2

"$python" - <<'PY'
import numexpr
import numpy as np
from finding import show

w = g = np.ones(3, dtype=np.float32)
rate = np.float32(0.1)
show("NumPy, w - 0.1 * g", str((w - 0.1 * g).dtype), "float32")
show('numexpr, "w - 0.1 * g"', str(numexpr.evaluate("w - 0.1 * g").dtype), "float64")
show('numexpr, "w - 2 * g"', str(numexpr.evaluate("w - 2 * g").dtype), "float32")
show('numexpr, "w - rate * g"', str(numexpr.evaluate("w - rate * g").dtype), "float32")
PY
