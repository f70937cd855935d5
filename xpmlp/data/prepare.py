"""From a source to a data set: split, then turned into numbers and scaled by its training rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpmlp.data.rows import Rows, Scaling
from xpmlp.data.scaling import NEGLIGIBLE, are_negligible, scale_parts, statistics
from xpmlp.data.source import Source
from xpmlp.data.splits import Part, split
from xpmlp.errors import InputError

NAMED = 5  # columns, in a note


def prepare(
    source: Source, validation: float | int | None, scale: str | None, seed: int, dtype: str
) -> dict[str, Any]:
    """Split and scale a source, and return the fields of its `Dataset`.

    Without a scale it is the one that suits the source.

    Raises InputError for a size of a part or a scale that can't be, and for too large features
    or values to learn.
    """
    scale = scale or _usual_scale(source)
    parts = split(source, validation, seed)
    if source.columns:
        features, about = _of_table(source, parts, scale, dtype)
    else:
        features, about = _of_arrays(source, parts, scale, dtype)
    labels = [y for _, y in parts]
    weights = _weights(source, validation, seed)
    target = target_scaling(source, labels, dtype)
    train, held, test = map(Rows, features, labels, weights)
    return about | {
        "name": source.name,
        "task": source.task,
        "train": train,
        "validation": held,
        "test": test,
        "class_names": source.class_names,
        "image_shape": source.image_shape,
        "scale": scale,
        "label": source.label,
        "target": None if scale == "none" else target,
    }


def _usual_scale(source: Source) -> str:
    if source.full_scale is not None:
        return "unit"
    return "auto" if source.own else "none"


def _weights(
    source: Source, validation: float | int | None, seed: int
) -> list[np.ndarray] | list[None]:
    """Return how much the rows of each part count: those that a split of their numbers takes."""
    if source.weights is None:
        return [None] * 3
    parts = ((source.x, source.y), source.validation or (), source.test or ())
    counts = [len(part[-1]) if part else 0 for part in parts]
    first, second, third = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    numbered = replace(
        source,
        x=first,
        validation=source.validation and (second, source.validation[1]),
        test=source.test and (third, source.test[1]),
    )
    return [source.weights[places] for places, _ in split(numbered, validation, seed)]


def _of_arrays(
    source: Source, parts: Sequence[Part], scale: str, dtype: str
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Scale the features of each part by those of the training rows."""
    arrays, names = [x for x, _ in parts], source.feature_names
    features, scaling = scale_parts(arrays, scale, source.full_scale, dtype)
    notes = [source.note] if source.note else []
    if scale != "none" and source.full_scale is None:
        flat = np.flatnonzero(are_negligible(arrays[0]))
        notes += _negligible(source, [names[i] if names else f"x{i + 1}" for i in flat])
    about = {"scaling": scaling, "feature_names": names, "note": "\n".join(notes)}
    return features, about


def _of_table(
    source: Source, parts: Sequence[Part], scale: str, dtype: str
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Turn the columns of a table into a matrix for each part, by rules of the training rows."""
    from xpmlp.data.tables.describing import with_rules
    from xpmlp.data.tables.preparing import (
        feature_names,
        fit_rules,
        fit_scaling,
        lost_digits,
        matrix,
        too_large,
    )
    from xpmlp.data.tables.typed import quote

    columns, chosen = source.columns, parts[0][0]
    rules = fit_rules(columns, chosen)
    scaling = fit_scaling(rules, columns, chosen, scale)
    features = [matrix(rules, columns, rows, scaling, dtype) for rows, _ in parts]
    for x in features:
        if (name := too_large(rules, scaling, x)) is not None:
            raise InputError(
                f"{source.name}, column {name!r}: features too large for {dtype} with scale "
                f"{scale!r}; choose another scale, or leave the column out: --drop {quote(name)}"
            )
    notes = [source.note] if source.note else []
    if scale == "none" and (lost := lost_digits(rules, columns, chosen, dtype)):
        notes.append(
            f"{source.name}: unscaled, {', '.join(map(repr, lost))} lose digits in {dtype}, so "
            "that different values become equal; --scale standard keeps them"
        )
    if scale != "none":
        flat = [c.name for c in columns if c.kind != "category" and _is_flat(c.values[chosen])]
        notes += _negligible(source, flat)
    about = {
        "columns": rules,
        "scaling": scaling,
        "feature_names": feature_names(rules),
        "about": source.about and with_rules(source.about, rules, scale, scaling.are_ranked),
        "note": "\n".join(notes),
    }
    return features, about


def _is_flat(values: np.ndarray) -> bool:
    """Tell whether the numbers (N,) among values with gaps are as good as the same."""
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool(are_negligible(known[:, None])[0])


def _negligible(source: Source, names: Sequence[str]) -> list[str]:
    """Return a note on columns that can't be told from constant ones, if there are any."""
    if not names:
        return []
    listed = ", ".join(map(repr, names[:NAMED])) + ", …" * (len(names) > NAMED)
    return [
        f"{source.name}: the values of {listed} differ by less than {NEGLIGIBLE:g}, which counts "
        "as no difference; write them in a smaller unit if it matters"
    ]


def target_scaling(source: Source, parts: Sequence[np.ndarray], dtype: str) -> Scaling | None:
    """Return mean and deviation of the training values, the first of the parts, each (N, O).

    Only values of somebody's own have any.
    """
    if not source.own or source.task != "regression":
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        target = statistics(parts[0], "standard")
        finite = target.is_finite & np.isfinite(np.square(target.width))  # errors are squared
        for y in parts:
            finite = finite & np.isfinite(y.astype(dtype)).all(axis=0)
    apart = (target.width >= np.finfo(dtype).tiny) & ~are_negligible(parts[0])
    for fits, what, unit in (
        (finite, "values are too large", "larger"),
        (apart, "values differ by too little", "smaller"),
    ):
        if not fits.all():
            label = f", label {source.label[int(np.argmin(fits))]!r}" if source.label else ""
            raise InputError(
                f"{source.name}{label}: its {what} to be learnt in {dtype}; write them in a "
                f"{unit} unit"
            )
    return target
