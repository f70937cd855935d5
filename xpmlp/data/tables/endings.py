"""Which files are tables: told by their names, before anything that reads them is imported."""

from pathlib import Path
from typing import Any

from xpmlp.data.blocks import STDIN

TEXT = (".csv", ".tsv", ".txt", ".dat", ".data")
PARQUET = (".parquet", ".pq")
ARROW = (".feather", ".arrow", ".ipc")
PACKED = (".gz", ".zst")


def is_table(source: Any) -> bool:
    """Tell whether a source is read as a table: by its ending, or as no path at all."""
    if not isinstance(source, str | Path):
        return True
    lower = Path(source).name.lower()
    for ending in PACKED:
        lower = lower.removesuffix(ending)
    return str(source) == STDIN or lower.endswith((*TEXT, *PARQUET, *ARROW))
