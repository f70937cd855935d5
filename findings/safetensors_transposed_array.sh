#!/bin/bash
# Guess:   safetensors.numpy.save writes a transposed or strided NumPy array as it reads: up to
#          0.7.0 it did, and PyTorch's twin refuses a tensor that isn't contiguous.
# Instead: 0.8.0 writes the memory from the array's first element on, without a word: the shape
#          is right, the numbers are in other places. A copy made contiguous is written rightly.
# Seen:    0.8.0: [[0, 1], [2, 3], [4, 5]] in place of [[0, 3], [1, 4], [2, 5]],
#          and [0, 1, 2] in place of [0, 2, 4]; 0.7.0: both right (NumPy 2.4.6)
# Source:  bindings/python/py_src/safetensors/numpy.py of 0.8.0: _flatten hands on the address and
#          the number of bytes; save's docstring asks for contiguous arrays, nothing checks them
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 safetensors==0.8.0

cat > read_back.py <<'PY'
import sys

import numpy as np
import safetensors
from finding import show
from safetensors.numpy import load, save

new = safetensors.__version__ == "0.8.0"
transposed, strided = np.arange(6.0).reshape(2, 3).T, np.arange(6.0)[::2]
back = load(save({"transposed": transposed, "strided": strided}))
print("safetensors", safetensors.__version__)
print("transposed, given:", transposed.tolist())
wrong = [[0, 1], [2, 3], [4, 5]]
show("transposed, read back", back["transposed"].tolist(), wrong if new else transposed.tolist())
print("strided, given:", strided.tolist())
show("strided, read back", back["strided"].tolist(), [0, 1, 2] if new else strided.tolist())
copy = load(save({"copy": np.ascontiguousarray(transposed)}))["copy"]
show("contiguous copy is read back right", bool((copy == transposed).all()), True)
PY
"$python" read_back.py
"$python" -m pip install --quiet --disable-pip-version-check safetensors==0.7.0
"$python" read_back.py
