"""Trees of arrays in safetensors files: flat names in, trees out, writes that can't be torn."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from xpmlp.errors import InputError
from xpmlp.types import Affine, Params

Tensors = dict[str, np.ndarray]


def pack(prefix: str, params: Params) -> Tensors:
    """Return {"prefix.0.W": …, "prefix.0.b": …, …}."""
    return {
        f"{prefix}.{i}.{leaf}": np.ascontiguousarray(getattr(layer, leaf))
        for i, layer in enumerate(params)
        for leaf in Affine._fields
    }


def unpack(prefix: str, tensors: Tensors, n_layers: int) -> Params:
    """Return the tree that `pack` flattened. Raises KeyError where a tensor is missing."""
    return tuple(
        Affine(*(tensors[f"{prefix}.{i}.{leaf}"] for leaf in Affine._fields))
        for i in range(n_layers)
    )


@contextmanager
def damage_explained(path: str | Path) -> Iterator[None]:
    """Turn what a damaged file's contents raise into one InputError with its name."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def write_tensors(path: str | Path, tensors: Tensors, metadata: dict[str, str]) -> None:
    """Write a safetensors file in one piece: an interrupted write leaves the old file."""
    from safetensors.numpy import save

    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(save(tensors, metadata))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: str | Path, expected_format: str) -> tuple[Tensors, dict[str, str]]:
    """Read tensors and metadata. Raises InputError where the file is missing or of other kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}") from error
    if metadata.get("format") != expected_format:
        raise InputError(
            f"{path} holds {metadata.get('format') or 'something else'}, not {expected_format}"
        )
    return tensors, metadata
