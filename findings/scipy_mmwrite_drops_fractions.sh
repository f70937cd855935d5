#!/bin/bash
# Guess:   scipy.io.mmwrite writes the values of any array of floats, or refuses its type.
# Instead: float16 and floats of the other byte order, as IDX readers and files of other machines
#          give them, are written as integers, without fractions: 0.5 becomes 0, without a
#          warning; complex ones of the other byte order lose their imaginary part too.
# Seen:    SciPy 1.17.1, NumPy 2.4.6: [[0.5, -2.75]] comes back as [[0, -2]]
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" scipy==1.17.1 numpy==2.4.6

"$python" - <<'PY'
import sys

import numpy as np
from finding import show
from scipy.io import mmread, mmwrite

other = ">" if sys.byteorder == "little" else "<"


def back(kind, given):
    mmwrite("weights.mtx", np.array([given], kind))
    return mmread("weights.mtx")[0].tolist()


given, whole = [0.5, -2.75], [0, -2]
show("float32", back("f4", given), given)
show("float64", back("f8", given), given)
show("float16", back("f2", given), whole)
show("float32 of the other byte order", back(other + "f4", given), whole)
show("float64 of the other byte order", back(other + "f8", given), whole)
show("complex64", back("c8", [1.5, 2.5j]), [1.5, 2.5j])
show("complex64 of the other byte order", back(other + "c8", [1.5, 2.5j]), [1, 0])
PY
