"""Trees of arrays in safetensors files: flat names in, trees out, writes that can't be torn."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xpmlp.data.kinds import read_json
from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.types import Affine, Params

METADATA_KEY = "xpmlp"
DTYPES = ("F64", "F32", "I64", "I32", "U64", "U32")
REMEDY = "take it from a copy, or train anew"
Tensors = dict[str, np.ndarray]
Built = TypeVar("Built")


def pack(prefix: str, params: Params) -> Tensors:
    """Return {"prefix.0.W": …, "prefix.0.b": …, …}."""
    return {
        f"{prefix}.{i}.{leaf}": getattr(layer, leaf)
        for i, layer in enumerate(params)
        for leaf in Affine._fields
    }


def unpack(prefix: str, tensors: Tensors, n_layers: int) -> Params:
    """Return the tree that `pack` flattened. Raises KeyError where a tensor is missing."""
    return tuple(
        Affine(*(tensors[f"{prefix}.{i}.{leaf}"] for leaf in Affine._fields))
        for i in range(n_layers)
    )


def write_tensors(
    path: str | Path, tensors: Tensors, file_format: str, about: dict[str, Any]
) -> None:
    """Write a safetensors file in one piece: an interrupted write leaves the old file.

    `about` goes into the metadata as JSON under a single key, since the library writes several
    keys in a random order: the same arrays give the same bytes. Release 0.8.0 writes the memory
    of an array, not its entries, so all are laid out row by row first.
    """
    from safetensors.numpy import save

    metadata = json.dumps({"format": file_format, **about})
    rows = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    write_whole(Path(path), save(rows, {METADATA_KEY: metadata}))


def read_tensors(
    path: str | Path,
    file_format: str | tuple[str, ...],
    build: Callable[[Tensors, dict[str, Any]], Built],
) -> Built:
    """Return what `build` makes of the arrays and of `about` that `write_tensors` wrote.

    file_format: that of the file, or several, any of which it may be.

    Raises InputError where the file is missing, of another format, or damaged, also where
    `build` can make nothing of what it holds.
    """
    from safetensors import SafetensorError, safe_open

    formats = (file_format,) if isinstance(file_format, str) else file_format
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}; {REMEDY}") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}; {REMEDY}") from error
    try:
        about = read_json(metadata.get(METADATA_KEY, "{}"))
        if about.get("format") in formats:
            return build(tensors, about)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is damaged: {reason}; {REMEDY}") from error
    found = about.get("format") or "something else"
    raise InputError(f"{path} holds {found}, not {' or '.join(formats)}")


def require_tensors(
    tensors: Tensors, shapes: Mapping[str, tuple[int | None, ...]], optional: Collection[str] = ()
) -> None:
    """Raise ValueError for a tensor of another shape, or of no finite floats, and for further ones.

    shapes: by name; None stands for any number. optional: the names that may be missing.
    Raises KeyError where another is missing.
    """
    if further := sorted({*tensors} - {*shapes}):
        raise ValueError(f"it holds {', '.join(further[:4])}, which is no part of it")
    for name, shape in shapes.items():
        if name in optional and name not in tensors:
            continue
        found = tensors[name]
        fits = len(found.shape) == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(shape, found.shape, strict=True)
        )
        if not fits:
            wanted = " x ".join("N" if size is None else str(size) for size in shape)
            raise ValueError(f"its {name} has the shape {found.shape}, expected {wanted}")
        if found.dtype.kind != "f":
            raise ValueError(f"its {name} is of {found.dtype}, expected float32 or float64")


def require_finite(tensors: Tensors, prefix: str) -> None:
    """Raise ValueError where a tensor whose name begins so holds NaN or infinity."""
    for name, tensor in tensors.items():
        if name.startswith(prefix) and not np.isfinite(tensor).all():
            raise ValueError(f"its {name} holds NaN or infinity")


def _tensor(file: Any, name: str) -> np.ndarray:
    """Read a tensor of a type that xpmlp writes."""
    dtype = file.get_slice(name).get_dtype()
    if dtype not in DTYPES:
        raise ValueError(f"its {name} is of {dtype}, expected one of {', '.join(DTYPES)}")
    tensor: np.ndarray = file.get_tensor(name)
    return tensor
