"""A data set that stays on disk, as the fields of a `Dataset`: parts, labels, scaling.

It stays there whatever its size, so that a run is the same on a machine with more memory. Rows
held out are whole blocks, by the seed; labels lie in memory, and statistics of the features
come from one pass over the blocks that train.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xpmlp.data.array_targets import Targets, array_targets
from xpmlp.data.blocks import by, image_shape_of
from xpmlp.data.image_tables import pixel_scale
from xpmlp.data.prepare import target_scaling
from xpmlp.data.row_files import RowFile
from xpmlp.data.rows import Rows
from xpmlp.data.scaling import varying
from xpmlp.data.shards import MANIFEST, PARTS, Pair, Shards, find_shards
from xpmlp.data.source import Source
from xpmlp.data.splits import count_rows, random_state
from xpmlp.data.stream_statistics import Moments, check_scale, look_through
from xpmlp.data.streamed import Block, Streamed, Turning, blocks_of
from xpmlp.data.tables.rules import ColumnRule
from xpmlp.data.wishes import Wishes
from xpmlp.errors import InputError

TEST, VALIDATION = 1, 2  # purposes of a seed
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1


class Part:
    """The blocks of a part, and the labels of all their rows."""

    def __init__(self, blocks: Sequence[Block], labels: Sequence[np.ndarray]) -> None:
        self.blocks, self.labels = list(blocks), list(labels)

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)

    def __add__(self, other: "Part") -> "Part":
        return Part([*self.blocks, *other.blocks], [*self.labels, *other.labels])

    def chosen(self, places: Sequence[int]) -> "Part":
        """Return some of the blocks, in their order."""
        return Part(
            [self.blocks[i] for i in sorted(places)], [self.labels[i] for i in sorted(places)]
        )

    def hold_out(self, rows: int, seed: int, purpose: int, origin: str) -> "tuple[Part, Part]":
        """Part the blocks into (kept, held out), the latter of at least so many rows."""
        held, count = [], 0
        for i in random_state(seed, purpose).permutation(len(self.blocks)):
            if count >= rows:
                break
            held.append(int(i))
            count += self.blocks[i].rows
        if len(held) == len(self.blocks):
            raise InputError(f"{origin}: holding out {rows:,} rows would leave nothing to train on")
        kept = set(range(len(self.blocks))) - set(held)
        return self.chosen(list(kept)), self.chosen(held)


def load_stream(
    path: str | Path,
    wishes: Wishes,
    validation: float | int | None,
    scale: str | None,
    seed: int,
    dtype: str,
) -> dict[str, Any]:
    """Return the fields of a data set that stays on disk, as `prepare` does of one in memory.

    Raises InputError, naming the file, for what can't be trained on.
    """
    origin = str(path)
    if wishes.name_columns:
        raise InputError(
            f"{origin}: its columns have been chosen; label, features, drop and header go with "
            "tables, and with xpmlp.convert"
        )
    check_scale(scale, origin)
    folder, shards = find_shards(path)
    files = _files(folder, shards)
    targets, parts = _labelled(folder, shards, files, wishes.task, origin)
    train, held, test = _parted(parts, validation, seed, origin)
    seen = look_through(train.blocks)
    image = shards.image_shape or image_shape_of(train.blocks[0].file.row_shape)
    full_scale, note = None, ""
    if image or len(train.blocks[0].file.row_shape) > 1:
        full_scale, note = pixel_scale(
            float(seen.moments.low.min()), float(seen.moments.high.max()), origin
        )
    scale = scale or ("unit" if full_scale is not None else "standard")
    rules = _rules(shards, folder)
    turning = _turning(seen.moments, scale, full_scale, dtype, rules, origin)
    ys = [_of_part(part, targets) for part in (train, held, test)]
    xs = [Streamed(train.blocks, turning, seen.checksum)]
    xs += [Streamed(part.blocks or train.blocks[:0], turning) for part in (held, test)]
    rows = [Rows(_or_none(x, train.blocks[0], dtype), y) for x, y in zip(xs, ys, strict=True)]
    names = shards.feature_names
    if not names and len(train.blocks[0].file.row_shape) == 1:
        names = tuple(f"x{i + 1}" for i in range(train.blocks[0].file.width))
    source = Source(origin, targets.task, np.empty(0), ys[0], own=True, label=shards.label)
    target = target_scaling(source, ys, dtype)
    return {
        "name": origin,
        "task": targets.task,
        "train": rows[0],
        "validation": rows[1],
        "test": rows[2],
        "class_names": targets.class_names,
        "feature_names": names,
        "image_shape": image,
        "scale": scale,
        "scaling": turning.scaling,
        "columns": rules,
        "label": shards.label,
        "target": None if scale == "none" else target,
        "note": "\n".join(filter(None, [_said(origin, xs), targets.note, note])),
    }


def _said(origin: str, parts: Sequence[Streamed]) -> str:
    train, nbytes = parts[0], sum(part.nbytes for part in parts if len(part))
    whole = train.window >= len(train.blocks)
    windows = "" if whole else f" in windows of {train.window} blocks"
    return (
        f"{origin}: {len(train):,} rows to train on stay on disk ({nbytes / 1e9:.3g} GB with those "
        f"held out), are read in blocks of {train.blocks[0].rows:,} and shuffled"
        f"{windows}; the training loss is the mean of the steps'"
    )


def _or_none(x: Streamed, block: Block, dtype: str) -> Any:
    """Return features, an array of no rows where there are none."""
    return x if len(x) else np.empty((0, block.file.width), dtype)


def _files(folder: Path, shards: Shards) -> dict[str, list[RowFile]]:
    """Open the features of each part. Raises InputError where they are not all alike."""
    files = {part: [RowFile(folder / x) for x, _ in shards.parts.get(part, [])] for part in PARTS}
    if not any(map(len, files["train"])):
        raise InputError(f"{folder}: holds no rows to train on")
    first = files["train"][0]
    for file in (file for of_part in files.values() for file in of_part):
        if not (file.row_shape and file.width):
            raise InputError(
                f"{file.path}: expected rows (N, D) or images (N, H, W), got an array of shape "
                f"{(len(file), *file.row_shape)}"
            )
        if (file.row_shape, file.dtype) != (first.row_shape, first.dtype):
            raise InputError(
                f"{file.path}: its rows are {by(file.row_shape)} of {file.dtype}, those of "
                f"{first.path} {by(first.row_shape)} of {first.dtype}"
            )
    return files


def _labelled(
    folder: Path,
    shards: Shards,
    files: dict[str, list[RowFile]],
    task: str | None,
    origin: str,
) -> tuple[Targets, dict[str, Part]]:
    """Return what the labels of all parts mean, without themselves, and the parts with theirs."""
    every = [
        _labels(folder, pair, file)
        for part in PARTS
        for pair, file in zip(shards.parts.get(part, []), files[part], strict=True)
    ]
    if len({(y.shape[1:], y.dtype.kind == "U") for y in every}) > 1:
        raise InputError(f"{origin}: its labels are of several shapes or kinds")
    together = np.concatenate(every)
    if shards.task and task in (None, shards.task):
        targets = Targets(shards.task, together, shards.class_names)  # type: ignore[arg-type]
    else:
        targets = array_targets(together, origin, task)
    y, done, parts = _narrow(targets), 0, {}
    for part in PARTS:
        blocks = blocks_of([file for file in files[part] if len(file)])
        counts = np.cumsum([done, *(block.rows for block in blocks)])
        slices = [y[a:b] for a, b in pairwise(counts)]
        parts[part], done = Part(blocks, slices), int(counts[-1])
    return targets._replace(y=y[:0]), parts


def _labels(folder: Path, pair: Pair, file: RowFile) -> np.ndarray:
    """Read the labels of a file's rows."""
    y = RowFile(folder / pair[1]).read()
    if len(y) != len(file) or y.ndim > 2:
        raise InputError(
            f"{folder / pair[1]}: expected labels (N,) or (N, O) of the {len(file):,} rows of "
            f"{pair[0]}, got an array of shape {y.shape}"
        )
    if not np.isfinite(y).all():
        row = int(np.argmin(np.isfinite(y.reshape(len(y), -1)).all(axis=1)))
        raise InputError(f"{folder / pair[1]}: the label of row {row} is NaN or inf")
    return y


def _narrow(targets: Targets) -> np.ndarray:
    """Return labels in as few bytes as they need, values as float64."""
    y, classes = targets.y, len(targets.class_names)
    if targets.task != "classification":
        return y.astype(np.float64, copy=False)
    if len(y) and not 0 <= y.min() <= y.max() < classes:
        raise InputError(f"labels from {y.min()} to {y.max()}, but there are {classes} classes")
    return y.astype(np.min_scalar_type(classes))


def _of_part(part: Part, targets: Targets) -> np.ndarray:
    return np.concatenate([targets.y, *part.labels])


def _parted(
    parts: dict[str, Part], validation: float | int | None, seed: int, origin: str
) -> tuple[Part, Part, Part]:
    """Return training, validation and test rows, as `splits.split` does, in whole blocks."""
    train, held, test = (parts[part] for part in PARTS)
    if not len(test):
        size = count_rows(TEST_SHARE, len(train), "the test set")
        train, test = train.hold_out(size, seed, TEST, origin)
    if len(held):
        if validation is None:
            return train, held, test
        train = train + held
    share = VALIDATION_SHARE if validation is None else validation
    size = count_rows(share, len(train))
    train, held = train.hold_out(size, seed, VALIDATION, origin)
    return train, held, test


def _rules(shards: Shards, folder: Path) -> tuple[ColumnRule, ...]:
    """Return the rules by which a table became numbers."""
    try:
        return tuple(map(ColumnRule.from_dict, shards.columns))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a manifest of shards ({error})") from error


def _turning(
    moments: Moments,
    scale: str,
    full_scale: float | None,
    dtype: str,
    rules: Sequence[ColumnRule],
    origin: str,
) -> Turning:
    """Return how raw values are scaled: of a table numbers and dates alone.

    Raises InputError where they overflow.
    """
    if scale == "unit" and full_scale is not None:
        scaling = moments.scaling("none")
        scaling = scaling._replace(width=full_scale * scaling.width)
        return Turning(scaling, full_scale, dtype)
    with np.errstate(all="ignore"):
        scaling = moments.scaling(scale)
        if rules:
            scaled = np.array(
                [rule.is_number and not i for rule in rules for i, _ in enumerate(rule.names)]
            )
            scaling = varying(~scaled, np.zeros(len(scaled)), scaling.shift, scaling.width)
        extremes = scaling.apply(np.stack([moments.low, moments.high]), dtype)
    if not (scaling.is_finite.all() and np.isfinite(extremes).all()):
        raise InputError(f"{origin}: features too large for {dtype} with scale {scale!r}")
    return Turning(scaling, None, dtype)
