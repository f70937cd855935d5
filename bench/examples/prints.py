"""What two runs of a script print, number by number."""

import re
from itertools import zip_longest
from typing import Any

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
SECONDS = re.compile(r"\d[\d.]* ?(?:s|ms|seconds?)\b")


def compare_prints(theirs: str, ours: str) -> dict[str, Any]:
    """Return how many numbers there are, how many are equal, and how far the others differ.

    largest_difference: relative to the larger of the two. same_words: all between the numbers is
    the same. lines: pairs of those that differ. Numbers of seconds do not count.
    """
    theirs, ours = SECONDS.sub("… s", theirs), SECONDS.sub("… s", ours)
    pairs = list(zip(numbers(theirs), numbers(ours), strict=False))
    lines = zip_longest(theirs.splitlines(), ours.splitlines(), fillvalue="")
    return {
        "numbers": len(numbers(theirs)),
        "equal": sum(a == b for a, b in pairs),
        "largest_difference": max((relative(a, b) for a, b in pairs), default=0.0),
        "same_words": NUMBER.sub("0", theirs) == NUMBER.sub("0", ours),
        "lines": [list(pair) for pair in lines if pair[0] != pair[1]],
    }


def numbers(text: str) -> list[float]:
    """Return the numbers in a text."""
    return [float(number) for number in NUMBER.findall(text)]


def relative(a: float, b: float) -> float:
    """Return how far two numbers differ, relative to the larger."""
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0
