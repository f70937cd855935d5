"""Shards of a data set from the files that people have, block by block.

A table is typed by its first rows, as any table is; the others are read by what that came to.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from xpmlp.data.archives import choose_arrays
from xpmlp.data.array_source import Labels, split_targets
from xpmlp.data.blocks import Columns, image_shape_of
from xpmlp.data.idx import opened, read_at_most, read_header, read_idx
from xpmlp.data.image_sets import is_transposed
from xpmlp.data.numpy_files import Archive, open_archive
from xpmlp.data.shards import MANIFEST, Shards
from xpmlp.data.tables.known import Known, label_places, read_classes, read_known, read_values
from xpmlp.data.tables.loading import columns_source
from xpmlp.data.tables.matching import match
from xpmlp.data.tables.preparing import feature_names, fit_rules, matrix
from xpmlp.data.tables.reading import read_first, stream_raw
from xpmlp.data.wishes import Wishes
from xpmlp.errors import InputError
from xpmlp.files import put_in_place, write_whole

SHARD_BYTES, BLOCK_BYTES, BLOCK_ROWS = 256 << 20, 32 << 20, 8192
FIRST_ROWS = 200_000
STATE = ".converting.json"


class Rows(NamedTuple):
    """Some consecutive rows of a part: x (N, ...), y (N,) or (N, O)."""

    part: str
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Conversion:
    """What is to be converted: its rows, how many these are (None: unknown), and about them."""

    rows: Iterator[Rows]
    total: int | None
    about: Shards
    notes: tuple[str, ...] = ()


def conversion_of(path: Path, wishes: Wishes, first: int = FIRST_ROWS) -> Conversion:
    """Open an IDX file of images, an archive, or a table. Raises InputError for what is none."""
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if "idx" in name or name.endswith(".npz"):
        if wishes.name_columns:
            raise InputError(f"{path} has no named columns; label, drop and header go with tables")
        return _of_idx(path, wishes) if "idx" in name else _of_archive(path, wishes)
    return _of_table(path, wishes, first)


def _of_idx(path: Path, wishes: Wishes) -> Conversion:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels == path or not labels.is_file():
        raise InputError(f"{path}: expected images, with their labels in {labels.name} beside them")
    with opened(path) as stream:
        shape, dtype = read_header(stream, path)
    y, about = _labels(
        {"train": Labels(read_idx(labels), labels.name, shape[0], path.name)}, path, wishes
    )
    turned = is_transposed(str(path))

    def rows() -> Iterator[Rows]:
        with opened(path) as stream:
            read_header(stream, path)
            for first, x in _arrays(stream, shape, dtype, path):
                images = np.ascontiguousarray(x.swapaxes(1, 2)) if turned else x
                yield Rows("train", images, y["train"][first : first + len(x)])

    return Conversion(rows(), shape[0], replace(about, image_shape=image_shape_of(shape[1:])))


def _of_archive(path: Path, wishes: Wishes) -> Conversion:
    with open_archive(path) as archive:
        names = choose_arrays(archive)
        headers = {part: archive.headers[x] for part, (x, _) in names.items()}
        if any(header.fortran_order for header in headers.values()):
            raise InputError(f"{path}: in Fortran order its rows lie scattered; save it in C order")
        labels = {
            part: Labels(archive.read(y), y, headers[part].shape[0], x)
            for part, (x, y) in names.items()
        }
    y, about = _labels(labels, path, wishes)

    def rows() -> Iterator[Rows]:
        with open_archive(path) as archive:
            for part, (name, _) in names.items():
                yield from _of_array(archive, part, name, y[part])

    total = sum(header.shape[0] for header in headers.values())
    return Conversion(rows(), total, about)


def _of_array(archive: Archive, part: str, name: str, y: np.ndarray) -> Iterator[Rows]:
    header = archive.headers[name]
    with archive.rows(name) as stream:
        for first, x in _arrays(stream, header.shape, header.dtype, Path(archive.path)):
            yield Rows(part, x, y[first : first + len(x)])


def _labels(
    labels: dict[str, Labels], path: Path, wishes: Wishes
) -> tuple[dict[str, np.ndarray], Shards]:
    """Return the labels of each part as they are learnt, and what is known of them."""
    targets, y = split_targets(labels, str(path), wishes.task)
    return y, Shards({}, task=targets.task, class_names=targets.class_names)


def _arrays(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, path: Path
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows of an array in C order, some at a time, each with the number of its first."""
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    most = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, row_bytes)))
    for first in range(0, shape[0], most):
        rows = min(most, shape[0] - first)
        data = read_at_most(stream, rows * row_bytes)
        if len(data) < rows * row_bytes:
            raise InputError(
                f"{path}: truncated: it ends within row {first + len(data) // row_bytes}"
            )
        yield first, np.frombuffer(data, dtype).reshape(rows, *shape[1:])


def _of_table(path: Path, wishes: Wishes, first: int) -> Conversion:
    raw = read_first(path, first, header=wishes.header)
    source = columns_source(raw, wishes)
    rules = fit_rules(source.columns, source.x)
    known = Known(rules, Columns(len(rules), tuple(rule.name for rule in rules)), source.label)
    about = Shards(
        {},
        task=source.task,
        class_names=source.class_names,
        feature_names=feature_names(rules),
        label=source.label,
        columns=tuple(rule.to_dict() for rule in rules),
    )

    def rows() -> Iterator[Rows]:
        order: list[int] = []
        pieces = stream_raw(path, rows=BLOCK_ROWS, header=wishes.header, known=known.columns.names)
        for raw in pieces:
            order = order or match(raw, known.columns, known.label, labelled=True)[0]
            try:
                columns = read_known(raw, order, known)
                place, *_ = places = label_places(raw, order, source.label)
                if source.class_names:
                    y, keep = read_classes(raw, place, source.class_names)
                else:
                    y, keep = read_values(raw, places, lambda _: None)
            except InputError as error:
                remedy = f"columns and classes are those of the first {first:,} rows; --first N"
                raise InputError(f"{error}; {remedy} reads more of them") from error
            yield Rows("train", matrix(rules, columns)[keep], y)

    many = f"{path}: typed by its first {len(raw):,} rows" if len(raw) >= first else ""
    return Conversion(rows(), None, about, tuple(filter(None, (source.note, many))))


def write_shards(
    conversion: Conversion, folder: Path, origin: dict[str, Any], told: Callable[[int], object]
) -> Shards:
    """Write shards and, last, their manifest; those that are there already stay.

    origin: by which what is converted is known again. told: is given the rows of each block.
    Raises InputError for a folder of something else, OSError where it can't be written.
    """
    _begin(folder, origin)
    parts: dict[str, list[tuple[str, str]]] = {}
    for part, number, x, y in _filled(conversion.rows, told):
        pair = f"{part}-{number:05}-x.npy", f"{part}-{number:05}-y.npy"
        for name, array in zip(pair, (x, y), strict=True):
            if not (folder / name).is_file():
                with put_in_place(folder / name) as partial, partial.open("wb") as file:
                    np.save(file, array)
        parts.setdefault(part, []).append(pair)
    shards = replace(conversion.about, parts=parts)
    write_whole(folder / MANIFEST, json.dumps(shards.as_json()))
    (folder / STATE).unlink()
    return shards


def _begin(folder: Path, origin: dict[str, Any]) -> None:
    """Make the folder, or find what was begun there."""
    text, state = json.dumps(origin), folder / STATE
    if (folder / MANIFEST).exists():
        raise InputError(f"{folder} holds shards already; choose another folder, or remove it")
    if state.is_file() and state.read_text() == text:
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder} holds something else, or what was begun of another file or with other "
            "options; choose another folder, or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(state, text)


def _filled(
    rows: Iterator[Rows], told: Callable[[int], object]
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Yield part, number, x and y of each shard."""
    held: list[Rows] = []
    number = 0
    for block in rows:
        if held and block.part != held[0].part:
            yield held[0].part, number, *_joined(held)
            held, number = [], 0
        held.append(block)
        told(len(block.y))
        if sum(some.x.nbytes for some in held) >= SHARD_BYTES:
            yield held[0].part, number, *_joined(held)
            held, number = [], number + 1
    if held:
        yield held[0].part, number, *_joined(held)


def _joined(held: list[Rows]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([rows.x for rows in held]), np.concatenate([rows.y for rows in held])
