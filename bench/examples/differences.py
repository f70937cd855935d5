"""What a script did with both libraries: its figures, its prints, and the verdict."""

from collections.abc import Sequence
from typing import Any

from bench.examples.prints import compare_prints
from bench.examples.runs import Ran

THEIRS, OURS = "scikit-learn", "xpmlp"
SAME, ROUNDING, DIFFERS = "same", "same but for rounding", "differs"
TOLERANCE, OWN_TIMES = 0.001, 2.0


def differences(
    theirs: Ran, ours: Ran, shares: Sequence[float], own: float | None
) -> dict[str, Any]:
    """Return how two runs compare.

    shares: of the pixels that differ, figure by figure. own: the largest share where
    scikit-learn's rows differ in their last bit; None where that was not tried.
    """
    counts = [len(ran.pictures) for ran in (theirs, ours)]
    reason = "" if counts[0] == counts[1] else f"{counts[1]} figures, scikit-learn {counts[0]}"
    return {
        "outcome": DIFFERS if reason else verdict(max(shares, default=0.0), own),
        "reason": reason,
        "differing": list(shares),
        "own_differing": own,
        "printed": compare_prints(theirs.printed, ours.printed),
        "seconds": {THEIRS: theirs.seconds, OURS: ours.seconds},
        "warnings": {THEIRS: theirs.warnings, OURS: ours.warnings},
    }


def verdict(share: float, own: float | None) -> str:
    """Return whether pictures are the same, or as far apart as a rounding alone brings them."""
    if share <= TOLERANCE:
        return SAME
    return ROUNDING if own is not None and share <= OWN_TIMES * own else DIFFERS
