"""Names of data sets, and `load_dataset`, which turns a name or a path into a `Dataset`.

Nothing is imported here but the standard library: a loader's module comes with its use.
"""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.places import Places, places
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
    "notmnist": "images:notmnist",
    "digits": "toy:digits",
    "iris": "toy:iris",
    "moons": "toy:moons",
    "xor": "toy:xor",
    "spirals": "toy:spirals",
    "ellipse": "toy:ellipse",
}

_DTYPES = ("float32", "float64")
_PATH_HINTS = ("/", "\\", ".")


def dataset_names() -> tuple[str, ...]:
    """Return the names that `load_dataset` knows, `auto` first; a path is welcome too."""
    return (AUTO, *DATASETS)


def load_dataset(
    name: str = AUTO,
    *,
    data_dir: str | Path | None = None,
    validation: float | int | None = None,
    scale: str | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> Dataset:
    """Load a data set by name, or a `.csv`, `.dat` or `.npz` file by its path.

    data_dir: a folder that is looked up first and never written to; None means the variable
        XPMLP_DATA_DIR where it is set. Then comes the user's cache, then a download.
    validation: fraction or number of training rows for validation, 0 for none; None means the
        last 10,000 of MNIST and Fashion-MNIST, and a tenth of other sets.
    scale: `none`, `center`, `unit` or `standard`, with statistics from the training rows
        alone; None means `unit` for pixels and `none` for all else.
    seed: chooses the rows that are held out, and the points of `moons` and `spirals`.
    dtype: `float32` or `float64`, that of x.

    `auto` is MNIST, or scikit-learn's digits where MNIST can't be had, as the note then says.

    Raises InputError for bad input of any kind, DataUnavailableError for a set that isn't here.
    """
    _check(scale, seed, dtype)
    source = _load(str(name), places(data_dir), seed)
    return _prepare(source, validation, scale, seed, dtype)


def _check(scale: str | None, seed: int, dtype: str) -> None:
    """Refuse bad arguments before anything is read or downloaded."""
    from xpmlp.data.scaling import SCALES

    if scale is not None and scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    if dtype not in _DTYPES:
        raise unknown_name("dtype", dtype, _DTYPES)
    if seed < 0:
        raise InputError(f"the seed must be 0 or more, got {seed}")


def _load(name: str, where: Places, seed: int) -> "Source":
    if name == AUTO:
        return _load_auto(where, seed)
    if name in DATASETS:
        return _loader(name)(where, seed)
    if any(hint in name for hint in _PATH_HINTS):
        from xpmlp.data.tabular import read_table

        return read_table(Path(name).expanduser())
    raise unknown_name("data set", name, (*dataset_names(), "FILE.csv", "FILE.dat", "FILE.npz"))


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


def _prepare(
    source: "Source", validation: float | int | None, scale: str | None, seed: int, dtype: str
) -> Dataset:
    """Split and scale a source."""
    from xpmlp.data.scaling import scale_parts
    from xpmlp.data.splits import split

    if scale is None:
        scale = "none" if source.full_scale is None else "unit"
    parts = split(source, validation, seed)
    features, scaling = scale_parts([x for x, _ in parts], scale, source.full_scale, dtype)
    train, held, test = (Rows(x, y) for x, (_, y) in zip(features, parts, strict=True))
    return Dataset(
        source.name,
        source.task,
        train,
        held,
        test,
        class_names=source.class_names,
        feature_names=source.feature_names,
        image_shape=source.image_shape,
        scale=scale,
        scaling=scaling,
        note=source.note,
    )
