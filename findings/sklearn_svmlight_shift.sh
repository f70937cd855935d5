#!/bin/bash
# Guess:   load_svmlight_file reads what dump_svmlight_file wrote, above all with the number of
#          features given, for which its documentation asks so that files agree.
# Instead: where the first column happens to be 0 in all rows of a file, its columns are taken to
#          count from 1 and all move one place to the left, the last becoming 0, in the right
#          shape: the rows of a test file get the features of others. And one float64 in two or
#          three comes back a bit off, as 16 digits are written. zero_based=True mends the first.
# Seen:    scikit-learn 1.9.1 as below
# Source:  sklearn/datasets/_svmlight_format_io.py: zero_based="auto" looks for the smallest index
#          of a file; _svmlight_format_fast.pyx: "%d:%.16g"
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" scikit-learn==1.9.1 numpy==2.4.6

"$python" - <<'PY'
import io

import numpy as np
from finding import show
from sklearn.datasets import dump_svmlight_file, load_svmlight_file


def back(rows, **options):
    file = io.BytesIO()
    dump_svmlight_file(rows, np.zeros(len(rows)), file)
    file.seek(0)
    return load_svmlight_file(file, n_features=rows.shape[1], **options)[0].toarray()


first_is_zero = np.array([[0.0, 1, 2], [0, 3, 4]])
show("another file", back(np.array([[5.0, 1, 2], [0, 3, 4]])).tolist(), [[5, 1, 2], [0, 3, 4]])
show("first column 0", back(first_is_zero).tolist(), [[1, 2, 0], [3, 4, 0]])
same = back(first_is_zero, zero_based=True).tolist()
show("first column 0, zero_based=True", same, first_is_zero.tolist())

third = np.array([[0.1 + 0.2]])
show("0.1 + 0.2 is read as", float(back(third)[0, 0]), 0.3)
numbers = np.random.default_rng(0).normal(size=(1000, 5))
show("of 5000 numbers are changed", int((back(numbers) != numbers).sum()), 2167)
PY
