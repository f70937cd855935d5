#!/bin/bash
# Guess:   a quantile of a column that lies among many equal values is that value, so that the
#          transformer ranks it in the middle of its places: 0, at the places 5 to 27 of 0 to 28,
#          has (5 + 27) / 2 / 28 = 0.571.
# Instead: the first of its quantiles comes out as -8.9e-17, by interpolation between equal numbers;
#          0 is then only at the places 6 to 27, and has 0.589. Whether a column of mostly zeros is
#          shifted so depends on the rounding of single quantiles.
# Seen:    scikit-learn 1.9.1, NumPy 2.4.6 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" scikit-learn==1.9.1 numpy==2.4.6

"$python" - <<'PY'
import numpy as np
from finding import show
from sklearn.preprocessing import QuantileTransformer

x = np.repeat([[-0.1], [0.0], [0.1]], [5, 23, 1], axis=0)
transformer = QuantileTransformer(n_quantiles=len(x)).fit(x)
quantiles = transformer.quantiles_.ravel()
show("values of the column", sorted(set(x.ravel().tolist())), [-0.1, 0.0, 0.1])
show("quantiles that are none of them", int((~np.isin(quantiles, x)).sum()), 1)
show("that quantile is next to", f"{quantiles[~np.isin(quantiles, x)][0]:.1e}", "-8.9e-17")
rank = transformer.transform([[0.0]]).item()
show("rank of 0 by its places", round((5 + 27) / 2 / 28, 3), 0.571)
show("rank of 0", round(rank, 3), 0.589)
PY
