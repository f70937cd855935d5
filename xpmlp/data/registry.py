"""Names of data sets, and `load_dataset`, which turns a name or a path into a `Dataset`.

Nothing is imported here but the standard library: a loader's module comes with its use.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xpmlp.data.dataset import Dataset
from xpmlp.data.places import Places, places
from xpmlp.data.shards import lies_in_arrays
from xpmlp.data.unpacking import USUAL_GIB
from xpmlp.data.wishes import Wishes, check_choices
from xpmlp.errors import DataUnavailableError, InputError, unknown_name

if TYPE_CHECKING:
    from xpmlp.data.source import Source

AUTO = "auto"
AUTO_NOTE = (
    "MNIST is neither on this machine nor to be had by download, so this is the 8x8 digits set "
    "of scikit-learn instead (--dataset mnist says what was tried and how to supply the files)"
)

DATASETS = {
    "mnist": "images:mnist",
    "fashion-mnist": "images:fashion_mnist",
    "kmnist": "images:kmnist",
    "qmnist": "images:qmnist",
    "emnist-balanced": "images:emnist_balanced",
    "emnist-byclass": "images:emnist_byclass",
    "emnist-bymerge": "images:emnist_bymerge",
    "emnist-digits": "images:emnist_digits",
    "emnist-letters": "images:emnist_letters",
    "emnist-mnist": "images:emnist_mnist",
    "notmnist": "images:notmnist",
    "digits": "toy:digits",
    "iris": "toy:iris",
    "moons": "toy:moons",
    "xor": "toy:xor",
    "spirals": "toy:spirals",
    "ellipse": "toy:ellipse",
}

_PATH_HINTS = ("/", "\\", ".")


def dataset_names() -> tuple[str, ...]:
    """Return the names that `load_dataset` knows, `auto` first; a path is welcome too."""
    return (AUTO, *DATASETS)


def is_path(name: str) -> bool:
    """Tell whether a data set's name is taken for a path."""
    return name not in dataset_names() and any(hint in name for hint in _PATH_HINTS)


def load_dataset(
    name: Any = AUTO,
    *,
    data_dir: str | Path | None = None,
    validation: float | int | None = None,
    scale: str | None = None,
    seed: int = 0,
    dtype: str = "float32",
    label: str | None = None,
    task: str | None = None,
    features: Sequence[str] = (),
    drop: Sequence[str] = (),
    header: bool | None = None,
    max_unpacked: float = USUAL_GIB,
) -> Dataset:
    """Load a data set by name, or a table of your own: a file by its path, or one of Python's.

    name: one of `dataset_names()`; the path of a text, Parquet, Feather, `.npz` or svmlight file;
        of what stays on disk, a folder of shards or a pair `x.npy` and `y.npy`; or a table of
        pandas, polars or pyarrow.

    data_dir: a folder that is looked up first and never written to; None means the variable
        XPMLP_DATA_DIR where it is set. Then comes the user's cache, then a download.
    validation: fraction or number of training rows for validation, 0 for none; None means the
        last 10,000 of MNIST and Fashion-MNIST, and a tenth of other sets.
    scale: `none`, `center`, `unit`, `standard`, `robust` or `quantile`, with statistics from
        the training rows alone; None means `unit` for pixels, `auto` for other files and
        tables of your own, and else `none`.
    seed: chooses the rows that are held out, and the points of `moons` and `spirals`.
    dtype: `float32` or `float64`, that of x.
    label, task, features, drop, header: what to take a table of your own for, as `Wishes` says;
        the rest is told from the table, and `about` and `note` of the data set say how.
    max_unpacked: the GiB that a file of your own may unpack to, where that is more than 20 times
        its size.

    `auto` is MNIST, or scikit-learn's digits where MNIST can't be had, as the note then says.

    Raises InputError for bad input of any kind, DataUnavailableError for a set that isn't here.
    """
    check_choices(scale, seed, dtype, task)
    _check_names(label, features, drop)
    from xpmlp.data.prepare import prepare

    wishes = Wishes(label, cast(Any, task), tuple(features), tuple(drop), header, max_unpacked)
    if isinstance(name, str | Path) and is_path(str(name)) and lies_in_arrays(name):
        from xpmlp.data.stream_loading import load_stream

        fields = load_stream(name, wishes, validation, scale, seed, dtype)
        return Dataset(**fields, parted=(validation, seed))
    source = _load(name, places(data_dir), seed, wishes)
    return Dataset(**prepare(source, validation, scale, seed, dtype), parted=(validation, seed))


def _check_names(label: Any, features: Any, drop: Any) -> None:
    if not (label is None or isinstance(label, str)):
        raise InputError(f"label: expected a text, several names with commas, got {label!r}")
    for option, names in (("features", features), ("drop", drop)):
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{option}: expected a list of names, got {names!r}")


def _load(name: Any, where: Places, seed: int, wishes: Wishes) -> "Source":
    if not isinstance(name, str | Path) or is_path(str(name)):
        from xpmlp.data.tables.loading import load_table

        return load_table(name, wishes, seed)
    if wishes.task or wishes.name_columns:
        raise InputError(
            f"{name} is no table of your own; label, task, features, drop and header go with those"
        )
    if name == AUTO:
        return _load_auto(where, seed)
    if name in DATASETS:
        return _loader(str(name))(where, seed)
    raise unknown_name(
        "data set", str(name), (*dataset_names(), "FILE.csv", "FILE.parquet", "FILE.npz")
    )


def _load_auto(where: Places, seed: int) -> "Source":
    try:
        return _loader("mnist")(where, seed)
    except DataUnavailableError:
        return replace(_loader("digits")(where, seed), note=AUTO_NOTE)


def _loader(name: str) -> "Callable[[Places, int], Source]":
    module, function = DATASETS[name].split(":")
    loader: Callable[[Places, int], Source]
    loader = getattr(importlib.import_module(f"xpmlp.data.{module}"), function)
    return loader
