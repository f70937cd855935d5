#!/bin/bash
# Guess:   RobustScaler, like StandardScaler, doesn't care in which unit a column is: of a column
#          times 1e-17 comes the same.
# Instead: a range between quartiles below some 2e-15 counts as 0 and becomes 1, so the column stays
#          as small as it was, without a warning, and is lost beside the others. StandardScaler,
#          which compares with the rounding of the column's own values, scales it.
# Seen:    scikit-learn 1.9.1 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" scikit-learn==1.9.1 numpy==2.4.6

"$python" - <<'PY'
import numpy as np
from finding import show
from sklearn.preprocessing import RobustScaler, StandardScaler

x = np.array([[1.0], [2.0], [3.0], [9.0]])
for name, scaler, known in (
    ("StandardScaler", StandardScaler(), ["2.570", "2.570"]),
    ("RobustScaler", RobustScaler(), ["2.909", "0.000"]),
):
    ranges = [f"{np.ptp(scaler.fit_transform(x * unit)):.3f}" for unit in (1.0, 1e-17)]
    show(f"{name}: range of the column, and of 1e-17 times it", ranges, known)
PY
