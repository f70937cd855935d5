"""What a campaign came to: a table for people, JSON for pages."""

from collections.abc import Sequence
from typing import Any

from bench.machine import describe_machine
from tests.torture.campaign import KINDS, Figures, Outcome


def table(figures: dict[str, Figures], wanted: dict[str, int], seconds: float) -> str:
    """Return the table of all kinds: cases, broken promises, seconds, what was tried."""
    lines = [f"{'':<13}{'cases':>7}{'broken':>8}{'s each':>8}  what"]
    for kind, found in figures.items():
        tried = found.cases + sum(found.skipped.values())
        each = f"{found.seconds / tried:.2f}" if tried else ""
        lines.append(f"{kind:<13}{found.cases:>7,}{found.broken:>8}{each:>8}  {KINDS[kind].what}")
        if tried < wanted[kind]:
            lines.append(f"{'':<38}{wanted[kind] - tried} more were not begun in time")
        for reason, times in found.skipped.items():
            lines.append(f"{'':<38}{times} skipped: {reason}")
        for noted, times in found.noted.most_common():
            lines.append(f"{'':<38}{times} times: {noted}")
        lines += [f"{'':<38}{_measured(each)}" for each in found.measured]
    cases, broken = (sum(getattr(f, n) for f in figures.values()) for n in ("cases", "broken"))
    lines.append(f"{'all':<13}{cases:>7,}{broken:>8}{seconds / 60:>8.1f}  minutes")
    return "\n".join(lines)


def _measured(figures: dict[str, float]) -> str:
    parts = (f"{name.replace('_', ' ')} {value:,.4g}" for name, value in figures.items())
    return ", ".join(parts)


def told(outcome: Outcome, repeat: str) -> str:
    """Return a broken case in words, with the line that repeats it."""
    lines = [f"{outcome.name} BROKEN  {outcome.tale.what}"]
    lines += [f"    {line}" for line in outcome.tale.broken]
    lines.append(f"    again: {repeat}")
    return "\n".join([*lines, *([f"    kept: {outcome.kept}"] if outcome.kept else [])])


def as_json(
    figures: dict[str, Figures],
    broken: Sequence[tuple[Outcome, str]],
    campaign: dict[str, Any],
) -> dict[str, Any]:
    """Return all of it. campaign: its seed, its backends, its date and time."""
    return {
        **campaign,
        "machine": describe_machine(),
        "kinds": {kind: found.as_dict() for kind, found in figures.items()},
        "broken": [
            {
                "case": outcome.name,
                "what": outcome.tale.what,
                "promises": outcome.tale.broken,
                "again": repeat,
            }
            for outcome, repeat in broken
        ],
    }
