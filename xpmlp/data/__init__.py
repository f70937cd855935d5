"""Data on the host: named sets, files of your own, and their split and scaling.

`load_dataset(name)` is the door; everything heavy is imported behind it, when it is used.
"""

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.registry import dataset_names, load_dataset

__all__ = ["Dataset", "Rows", "dataset_names", "load_dataset"]
