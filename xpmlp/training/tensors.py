"""Trees of arrays in safetensors files: flat names in, trees out, writes that can't be torn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.types import Affine, Params

METADATA_KEY = "xpmlp"
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
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}") from error
    try:
        about = dict(json.loads(metadata.get(METADATA_KEY, "{}")))
        if about.get("format") in formats:
            return build(tensors, about)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    found = about.get("format") or "something else"
    raise InputError(f"{path} holds {found}, not {' or '.join(formats)}")
