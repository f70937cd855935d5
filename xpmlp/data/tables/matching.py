"""Which columns of another table are those that a model takes."""

from collections.abc import Sequence

from xpmlp.data.blocks import Columns, are_telling
from xpmlp.data.image_tables import image_table
from xpmlp.data.tables.raw import RawTable
from xpmlp.errors import InputError

_SHOWN, _MOST = 40, 6


def match(
    raw: RawTable, columns: Columns, label: Sequence[str], *, labelled: bool = False
) -> tuple[list[int], list[str]]:
    """Return the place of each wanted column in the table, and notes for people.

    columns: the names, or only the number, of the columns. label: names of what the model learnt,
    which may be there and is not needed. labelled: whether the table must have a label.
    By their names where both have them; else in order, with the label after them or not there.
    Raises InputError where columns are missing.
    """
    names, wanted = raw.names, columns.names
    if wanted and ((raw.header and are_telling(wanted)) or {*wanted} <= {*names}):
        return _by_name(raw, wanted, label, labelled)
    images = image_table(names)
    if images and images.label is not None and len(names) - 1 == columns.width:
        return [place for place in range(len(names)) if place != images.label], []
    labels = max(1, len(label))
    if len(names) - columns.width not in ((labels,) if labelled else (0, labels)):
        found = f"{len(names)} column{'s' if len(names) > 1 else ''}"
        more = f" and {labels} more to compare with" if labelled else ""
        raise InputError(f"{raw.origin} has {found}, {columns.wanted()}{more}")
    notes = []
    if raw.header:
        notes.append(
            f"{raw.origin}: the model was trained on columns without names, so these are taken in "
            f"their order: {listed(names[: columns.width])}"
        )
    if not labelled:
        notes += _after(raw, columns.width)
    return [*range(columns.width)], notes


def _by_name(
    raw: RawTable, wanted: Sequence[str], label: Sequence[str], labelled: bool
) -> tuple[list[int], list[str]]:
    places = {name: place for place, name in enumerate(raw.names)}
    missing = [name for name in wanted if name not in places]
    unknown = [name for name in raw.names if name not in wanted]
    others = [name for name in unknown if name not in label]
    if missing:
        beside = f"; the model doesn't know {listed(others)}" if others else ""
        raise InputError(f"{raw.origin} lacks {listed(missing)}{beside}")
    notes, order = [], [places[name] for name in wanted]
    unneeded = unknown
    if labelled:
        unneeded = others if label else others[:-1]
    if order != sorted(order):
        notes.append(
            f"{raw.origin}: its columns stand in another order and were matched by their names"
        )
    if unneeded and not raw.header and order == [*range(len(order))]:
        notes += _after(raw, len(order))
    elif unneeded:
        notes.append(f"{raw.origin}: the model doesn't need {listed(unneeded)}")
    return order, notes


def _after(raw: RawTable, width: int) -> list[str]:
    """Return the note on what follows the features."""
    rest = raw.names[width:]
    if not rest:
        return []
    what = f"column, {rest[-1]!r}, is" if raw.header else "column is"
    if len(rest) > 1:
        what = f"{len(rest)} columns are"
    return [f"{raw.origin}: its last {what} taken as the label and ignored"]


def listed(names: Sequence[str], most: int = _MOST) -> str:
    """Return names in quotes, the first few of many, in one line."""
    text = ", ".join(
        repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…") for name in names[:most]
    )
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
