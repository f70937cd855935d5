"""`python -m bench compare A.json B.json`: which rows became faster or slower, and by how much."""

from collections.abc import Iterator
from typing import Any

from bench.report import aligned, label_of, ratio_text, title_of
from bench.results import Figures, busy

SAME_CASE = ("case", "activation", "optimizer", "learning_rate", "rows", "data", "kernels")
HEAD = ("", "A s/epoch", "B s/epoch", "B ÷ A", "A ÷ floor", "B ÷ floor", "")
LEGEND = """\
B ÷ A: median over median; below 1, B is faster. A verdict is given where the quartiles of the
two do not overlap. ÷ floor: as each run measured it, so that a slower machine cancels out."""
Key = tuple[Any, ...]


def compare(a: Figures, b: Figures) -> str:
    """Return how the runs differ, and a table per case that both have."""
    parts = [*_differences(a, b)] or ["the same machine, software and settings"]
    in_a, in_b = _cases(a), _cases(b)
    for key in in_a:
        if key in in_b:
            parts += ["", _case_table(in_a[key], in_b[key])]
    for name, own, other in (("A", in_a, in_b), ("B", in_b, in_a)):
        if lacking := [_title(case) for key, case in own.items() if key not in other]:
            parts += ["", f"only in {name}: {'; '.join(lacking)}"]
    return "\n".join([*parts, "", LEGEND])


def _differences(a: Figures, b: Figures) -> Iterator[str]:
    """Yield a line for each statement on machine, software and settings that differs."""
    own, other = _flat(a), _flat(b)
    for name in dict.fromkeys((*own, *other)):
        if own.get(name) != other.get(name):
            yield f"{name}: A {own.get(name, 'none')}, B {other.get(name, 'none')}"


def _flat(figures: Figures) -> dict[str, Any]:
    machine = dict(figures["machine"])
    libraries = machine.pop("libraries")
    settings = {"rounds": figures["rounds"], "busy processes": busy(figures)}
    return {**machine, **libraries, **figures["environment"], **settings}


def _cases(figures: Figures) -> dict[Key, Figures]:
    return {(*(case[name] for name in SAME_CASE), busy(case)): case for case in figures["cases"]}


def _title(case: Figures) -> str:
    return f"{title_of(case)}, kernels {case['kernels']}"


def _case_table(a: Figures, b: Figures) -> str:
    in_a, in_b = _timed(a), _timed(b)
    rows = [_cells(label, in_a[label], in_b[label]) for label in in_a if label in in_b]
    lines = [_title(a), *(aligned([HEAD, *rows]) if rows else ["no row that both have"])]
    for name, own, other in (("A", in_a, in_b), ("B", in_b, in_a)):
        lines += [f"only in {name}: {label}" for label in own if label not in other]
    return "\n".join(lines)


def _timed(case: Figures) -> dict[str, Figures]:
    return {label_of(entry): entry for entry in case["entries"] if entry["seconds"]}


def _cells(label: str, a: Figures, b: Figures) -> list[str]:
    ours, theirs = a["seconds"], b["seconds"]
    return [
        label,
        f"{ours['median']:.4f}",
        f"{theirs['median']:.4f}",
        f"{theirs['median'] / ours['median']:.2f}",
        ratio_text(a["to_floor"]),
        ratio_text(b["to_floor"]),
        verdict(ours, theirs),
    ]


def verdict(a: dict[str, float], b: dict[str, float]) -> str:
    """Return `faster` or `slower` where B's quartiles lie wholly below or above A's, else ``."""
    if b["high"] < a["low"]:
        return "faster"
    return "slower" if b["low"] > a["high"] else ""
