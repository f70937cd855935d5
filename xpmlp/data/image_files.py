"""From the IDX files of a set of images to its rows and classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from xpmlp.data.blocks import by
from xpmlp.data.idx import read_image_pair
from xpmlp.data.image_folders import Found, Pair, lacks
from xpmlp.data.image_sets import ImageSet
from xpmlp.data.source import Source
from xpmlp.data.splits import Part
from xpmlp.errors import InputError

_ANY_BYTE = 256


def read_set(found: Found, kind: ImageSet, name: str, note: str = "") -> Source:
    """Read the files of a set, whose training rows are there, with its images upright.

    Without test rows a fifth is to be held out, which the note says too. A file
    `emnist-….-mapping.txt` beside the others names the classes.

    Raises InputError where files are damaged or don't fit together.
    """
    assert found.train
    kind = _mapped(kind, found.folder)
    images, labels = _read_pair(found.train, kind)
    test = _read_pair(found.test, kind) if found.test else None
    if found.test and test and test[0].shape[1:] != images.shape[1:]:
        raise InputError(
            f"{found.test.images}: images of {by(test[0].shape[1:])} pixels, "
            f"but those of {found.train.images} have {by(images.shape[1:])}"
        )
    if test is None:
        held_out = f"{lacks(found)}, so a fifth of the images is held out to test"
        note = f"{note}; {held_out}" if note else held_out
    source = Source(
        name,
        "classification",
        _flat(images),
        labels,
        kind.class_names,
        image_shape=(images.shape[1], images.shape[2]),
        full_scale=255.0,
        test=(_flat(test[0]), test[1]) if test else None,
        tail=_tail(kind, test),
        note=note,
    )
    return source if kind.class_names else _named_by_labels(source, found.train.labels)


def _read_pair(pair: Pair, kind: ImageSet) -> Part:
    """Return images (N, H, W) and the indices of their classes (N,)."""
    classes = len(kind.class_names) or _ANY_BYTE
    images, labels = read_image_pair(*pair, classes, kind.first_label)
    return images.swapaxes(1, 2) if kind.transposed else images, labels


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def _tail(kind: ImageSet, test: Part | None) -> int | None:
    if kind.tail != "test":
        return kind.tail
    return len(test[1]) if test else None


def _named_by_labels(source: Source, path: Path) -> Source:
    """Return a set whose classes are the labels that occur."""
    test = source.test
    every = np.concatenate([source.y, test[1]]) if test else source.y
    found = np.unique(every)
    if len(found) < 2:
        raise InputError(
            f"{path}: every label is {found[0]}; classification needs at least two classes"
        )
    return replace(
        source,
        y=np.searchsorted(found, source.y),
        test=(test[0], np.searchsorted(found, test[1])) if test else None,
        class_names=tuple(map(str, found)),
    )


def _mapped(kind: ImageSet, folder: Path) -> ImageSet:
    """Return a set with the class names of the file that maps its labels, where there is one.

    Each line holds a label and the code of its character, of which a second may follow.
    """
    path = folder / f"{kind.name}-mapping.txt"
    if not path.is_file():
        return kind
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    mapping = dict(
        _mapping_line(line, f"{path}, line {i}") for i, line in enumerate(lines, 1) if line.strip()
    )
    first = min(mapping, default=0)
    if sorted(mapping) != list(range(first, first + len(mapping))) or len(mapping) < 2:
        raise InputError(f"{path}: expected labels that follow one another, a line each")
    return kind._replace(
        class_names=tuple(mapping[label] for label in sorted(mapping)), first_label=first
    )


def _mapping_line(line: str, place: str) -> tuple[int, str]:
    try:
        label, code, *_ = map(int, line.split())
        return label, chr(code).encode().decode()  # half of a pair is no character
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{place}: expected a label and the code of a character, as in '10 65', got {line!r}"
        ) from error
