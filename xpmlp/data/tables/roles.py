"""Which columns are learnt, and which are learnt from."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xpmlp.data.tables.columns import Column
from xpmlp.data.tables.raw import RawTable
from xpmlp.data.tables.typed import quote
from xpmlp.errors import InputError, unknown_name

_USUAL_LABELS = ("label", "target", "class", "y", "outcome")
_COUNTS = "counts the rows"
_FEW_ROWS = 10
_NAMED = 10


def choose_label(
    names: Sequence[str], wish: str | None, last_is_constant: bool
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the places of the label columns, from 0, and notes on what was assumed.

    wish: a column's name, several ones with commas between, `first`, `last`, or a column's
        number, from 1; without, the last column is the label.
    last_is_constant: whether the last column says the same in every row.
    Raises InputError for a wish that is no column.
    """
    if wish is not None:
        return _wished(names, wish), ()
    last = names[-1]
    notes = []
    usual = [name for name in names if name.lower() in _USUAL_LABELS]
    if usual and last not in usual:
        notes.append(
            f"the last column, {last!r}, is the label, though another is called {usual[0]!r}: "
            f"--label {quote(usual[0])}"
        )
    if last_is_constant:
        notes.append(
            f"the last column, {last!r}, is the label, though it is the same in every row: "
            "--label NAME chooses another"
        )
    return (len(names) - 1,), tuple(notes)


def _wished(names: Sequence[str], wish: str) -> tuple[int, ...]:
    if wish in names:
        return (names.index(wish),)
    places = tuple(_place(names, part.strip()) for part in wish.split(","))
    twice = [names[place] for place in places if places.count(place) > 1]
    if twice:
        raise InputError(f"--label {wish}: expected different columns, got {twice[0]!r} twice")
    return places


def _place(names: Sequence[str], wish: str) -> int:
    if wish in names:
        return names.index(wish)
    by_place = {"first": 0, "last": len(names) - 1}
    by_place |= {str(number): number - 1 for number in range(1, len(names) + 1)}
    if wish not in by_place:
        raise unknown_name("label column", wish, names)
    return by_place[wish]


def asked_features(
    names: Sequence[str],
    labels: Collection[int],
    drop: Iterable[str] = (),
    features: Iterable[str] = (),
) -> tuple[int, ...]:
    """Return the places of the columns that may be features, from 0, in their order.

    labels: the places of the labels, which are none.
    drop: names of columns that shall not be; features: names of the only ones that shall.
    Raises InputError for an unknown name, for that of a label, and where none is left.
    """
    dropped = _named(names, labels, "--drop", drop)
    chosen = _named(names, labels, "--features", features) or set(range(len(names))) - set(labels)
    if not chosen - dropped:
        learnt = ", ".join(repr(names[place]) for place in labels)
        raise InputError(f"expected at least one feature beside the label, got {learnt} alone")
    return tuple(sorted(chosen - dropped))


def _named(
    names: Sequence[str], labels: Collection[int], option: str, wishes: Iterable[str]
) -> set[int]:
    places = set()
    for wish in wishes:
        if wish not in names:
            raise unknown_name(f"column in {option}:", wish, names)
        if names.index(wish) in labels:
            raise InputError(f"{option} {quote(wish)}: {wish!r} is the label; see --label")
        places.add(names.index(wish))
    return places


@dataclass(frozen=True)
class Features:
    """Columns that may be features, told apart by their places, from 0.

    kept: those that are learnt from.
    left_out: why each of the others is not, in a few words.
    note: the same for a person, in one line, or "".
    """

    kept: tuple[int, ...]
    left_out: Mapping[int, str]
    note: str


def choose_features(
    raw: RawTable, columns: Mapping[int, Column], candidates: Sequence[int], asked: bool
) -> Features:
    """Leave out columns that tell nothing, or only one row from another.

    columns: with their types, by place; candidates: those that may be features.
    asked: whether a person named the candidates, which keeps all that can be used.
    Raises InputError for texts that can't be used, all at once, and where no column is left.
    """
    left_out = {}
    for place in candidates:
        reason = _unusable(columns[place])
        if not (reason or asked):
            reason = _telling_nothing(columns[place], place in raw.unnamed)
        if reason:
            left_out[place] = reason
    if asked and left_out:
        raise InputError(
            f"{raw.origin}: --features names what can't be used: {_why(raw, left_out)}"
        )
    if len(left_out) == len(candidates):  # a column that counts is better than none
        left_out = {place: why for place, why in left_out.items() if why != _COUNTS}
    kept = tuple(place for place in candidates if place not in left_out)
    _refuse_texts(raw, [columns[place] for place in kept], asked)
    if not kept:
        raise InputError(f"{raw.origin}: no feature is left; left out are {_why(raw, left_out)}")
    note = f"left out: {_why(raw, left_out)}" if left_out else ""
    if any(not _unusable(columns[place]) for place in left_out):
        note += "; --features NAME … keeps those that it names"
    return Features(kept, left_out, note)


def _unusable(column: Column) -> str:
    """Tell why a column can't be a feature, or return ""."""
    entries = np.count_nonzero(~column.missing)
    if not entries:
        return "empty"
    texts = column.kind in ("category", "text")
    return "every text is different" if texts and len(column.levels) == entries > _FEW_ROWS else ""


def _telling_nothing(column: Column, unnamed: bool) -> str:
    """Tell why a column had better not be a feature, or return ""."""
    values = column.values
    if np.all(values == values[0]):
        return "the same in every row"
    if column.kind != "number" or not np.all(values == np.floor(values)):
        return ""
    if unnamed and len(np.unique(values)) == len(values):
        return "row numbers without a name"
    return _COUNTS if len(values) > _FEW_ROWS and np.all(np.diff(values) == 1) else ""


def _refuse_texts(raw: RawTable, columns: Sequence[Column], asked: bool) -> None:
    texts = [column for column in columns if column.kind == "text"]
    if texts:
        found = ", ".join(
            f"{column.name!r} ({len(column.levels)}, such as {column.levels[0]!r})"
            for column in texts
        )
        remedy = "leave out of --features" if asked else "leave out: --drop"
        raise InputError(
            f"{raw.origin}: expected numbers, dates or categories, got columns of too many "
            f"different texts: {found}; {remedy} {quote(*(column.name for column in texts))}"
        )


def _why(raw: RawTable, left_out: Mapping[int, str]) -> str:
    """List columns by the reason why they are left out."""
    groups = []
    for reason in dict.fromkeys(left_out.values()):
        names = [repr(raw.names[place]) for place, why in left_out.items() if why == reason]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        groups.append(f"{', '.join(names[:_NAMED])}{more} ({reason})")
    return ", ".join(groups)
