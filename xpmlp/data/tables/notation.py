"""How texts are written: what counts as missing, and what are numbers, dates, yes and no.

All functions take many texts at once; a column of few different ones is best read by these.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN"),
    *("null", "NULL", "Null", "None", "-", "."),
)
