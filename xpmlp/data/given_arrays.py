"""Arrays of one's own as a data set: understood, split and scaled as a file with them would be."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from xpmlp.console import warn_outside
from xpmlp.data.array_source import Arrays, array_source
from xpmlp.data.hosting import joined, on_host
from xpmlp.data.prepare import prepare
from xpmlp.data.source import Source
from xpmlp.data.wishes import check_choices
from xpmlp.errors import InputError

ORIGIN = "arrays"
TEST_SHARE = 0.2


class Given(NamedTuple):
    """What was handed in for one part; names: what messages call it."""

    x: Any
    y: Any
    weights: Any
    names: tuple[str, str, str]


def fields_of_arrays(
    x: Any,
    y: Any,
    *,
    test: Any = None,
    validation: Any = None,
    weights: Any = None,
    scale: str | None = None,
    seed: int = 0,
    dtype: str = "float32",
    task: str | None = None,
    names: Sequence[str] = (),
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the fields of the `Dataset` that `Dataset.from_arrays` describes.

    What had to be assumed is a UserWarning, and stays in `note`.
    """
    check_choices(scale, seed, dtype, task)
    parts = {"train": Given(x, y, weights, ("x", "y", "weights"))}
    sizes: dict[str, float | int] = {"test": TEST_SHARE}
    for part, given in (("validation", validation), ("test", test)):
        if isinstance(given, tuple | list):
            parts[part] = _own_rows(part, given)
        elif given is not None:
            sizes[part] = _size(part, given)
    source = _source(parts, task, names)
    if class_names:
        source = _with_names(source, tuple(class_names))
    source = replace(source, test_size=sizes["test"])
    fields = prepare(source, sizes.get("validation"), scale, seed, dtype)
    for note in fields["note"].splitlines():
        warn_outside(note)
    return fields


def _own_rows(part: str, given: Any) -> Given:
    if len(given) not in (2, 3):
        raise InputError(
            f"{part}: expected a share, a count, or a pair (x, y) of rows, got {len(given)} things"
        )
    weights = given[2] if len(given) == 3 else None
    return Given(given[0], given[1], weights, (f"{part} x", f"{part} y", f"{part} weights"))


def _size(part: str, given: Any) -> float | int:
    """Return a share or a count as Python's own number."""
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InputError(
            f"{part}: expected a share below 1, a count, or a pair (x, y) of rows, "
            f"got {type(given).__name__}"
        )
    size = int(given) if isinstance(given, Integral) else float(given)
    if size < 0 or (size >= 1 and isinstance(size, float)) or size != size:
        raise InputError(f"{part}: expected a share below 1, a count, or 0, got {given}")
    return size


def _source(parts: dict[str, Given], task: str | None, names: Sequence[str]) -> Source:
    """Understand all parts together."""
    labels = {part: on_host(given.y, given.names[1]) for part, given in parts.items()}
    if hasattr(type(parts["train"].x), "columns"):
        source = _of_frames(parts, labels, task, names)
    else:
        source = _of_arrays(parts, labels, task, names)
    label, y = getattr(parts["train"].y, "name", None), labels["train"]
    weights = [_weights(given, len(labels[part])) for part, given in parts.items()]
    return replace(
        source,
        own=True,
        label=(label,) if isinstance(label, str) else (),
        weights=joined(weights, [len(y) for y in labels.values()]),
        note="\n".join(filter(None, (source.note, _said_of_classes(source, y, task)))),
    )


def _of_frames(
    parts: dict[str, Given], labels: dict[str, np.ndarray], task: str | None, names: Sequence[str]
) -> Source:
    from xpmlp.data.tables.frames import frame_source

    if names:
        raise InputError("names: a frame has names of its own; rename its columns instead")
    frames = {part: given.x for part, given in parts.items()}
    named = {part: (labels[part], given.names[1]) for part, given in parts.items()}
    return frame_source(frames, named, "frame", task)


def _of_arrays(
    parts: dict[str, Given], labels: dict[str, np.ndarray], task: str | None, names: Sequence[str]
) -> Source:
    arrays = {
        part: Arrays(_features(given), labels[part], *given.names[:2])
        for part, given in parts.items()
    }
    source = array_source(arrays, ORIGIN, task)
    width = source.x.shape[1]
    if names and (len(names) != width or not all(isinstance(name, str) for name in names)):
        raise InputError(f"names: expected {width} texts, one for each column of x, got {names!r}")
    return replace(source, feature_names=tuple(names) or source.feature_names)


def _features(given: Given) -> np.ndarray:
    name = given.names[0]
    x = on_host(given.x, name)
    if x.dtype.kind not in "buif":
        raise InputError(
            f"{name}: expected numbers, got {x.dtype}; a frame of pandas, polars or pyarrow may "
            "have texts, dates and gaps"
        )
    if x.ndim == 1:
        raise InputError(
            f"{name}: expected rows (N, D), got shape {x.shape}; {name}.reshape(-1, 1) makes one "
            "column, .reshape(1, -1) one row"
        )
    return x


def _weights(given: Given, rows: int) -> np.ndarray | None:
    if given.weights is None:
        return None
    weights, name = on_host(given.weights, given.names[2]), given.names[2]
    if weights.shape != (rows,) or weights.dtype.kind not in "biuf":
        raise InputError(
            f"{name}: expected ({rows},) numbers, got {weights.dtype} of shape {weights.shape}"
        )
    bad = ~(np.isfinite(weights) & (weights > 0))
    if bad.any():
        raise InputError(
            f"{name}: expected positive numbers, got {weights[bad][0]:g} in row "
            f"{int(bad.argmax())}; leave out rows that don't count"
        )
    return weights.astype(np.float64)


def _said_of_classes(source: Source, y: np.ndarray, task: str | None) -> str:
    """Say that labels that might be values are taken as classes, where nobody asked for that."""
    if task is None and source.task == "classification" and y.dtype.kind == "f" and y.ndim == 1:
        return (
            f"{source.name}: y has whole numbers alone, which are taken as "
            f"{len(source.class_names)} classes; task='regression' makes them values"
        )
    return ""


def _with_names(source: Source, class_names: tuple[str, ...]) -> Source:
    """Return a source whose classes have these names, also such as no row has.

    Names that are the texts of y are taken for these; else whole numbers below their count are
    places among them; else the numbers' order is theirs.
    """
    found, count = source.class_names, len(class_names)
    if source.task != "classification":
        raise InputError(f"class_names: y holds no classes, but is taken for {source.task}")
    if {*found} <= {*class_names}:
        places = [class_names.index(name) for name in found]
    elif {*found} <= {str(k) for k in range(count)}:
        places = [int(name) for name in found]
    elif count == len(found) and all(name.lstrip("-").isdecimal() for name in found):
        places = list(range(count))
    else:
        raise InputError(
            f"class_names: y has {len(found)} classes ({', '.join(found[:6])}"
            f"{', …' * (len(found) > 6)}), which {', '.join(map(repr, class_names))} don't fit; "
            "give a name for each, in their order"
        )
    index = np.array(places)

    def renamed(rows: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray] | None:
        return rows and (rows[0], index[rows[1]])

    return replace(
        source,
        y=index[source.y],
        class_names=class_names,
        validation=renamed(source.validation),
        test=renamed(source.test),
    )
