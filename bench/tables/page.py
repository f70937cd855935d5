"""The figures as a page."""

from typing import Any

import numpy as np

from bench.tables.problems import PROBLEMS, Problem


def verdict(problem: Problem, ours: list[float], peer: list[float]) -> tuple[str, str]:
    """Return the goal in words, and whether it is met, from the figures of the same seeds."""
    a, b = np.mean(ours), np.mean(peer)
    if problem.goal is not None:
        if problem.regression:
            return f"at most {problem.goal:g} of the peer", _told(a <= problem.goal * b)
        return f"at least {problem.goal:g} above", _told(a - b >= problem.goal)
    worse = np.subtract(ours, peer) if problem.regression else np.subtract(peer, ours)
    spread = np.std(peer, ddof=1) if len(peer) > 1 else 0.0
    return "no worse within the spread", _told(bool(np.mean(worse) <= spread))


def _told(met: Any) -> str:
    return "met" if met else "missed"


def page(figures: dict[str, Any]) -> str:
    """Return the page of what was measured so far."""
    machine = figures["machine"]
    lines = [
        "# Tables of one's own, beside scikit-learn and pandas",
        "",
        f"Made by `python -m bench.tables` on {machine['cpu']}, {figures['finished']}; "
        f"scikit-learn {figures['scikit_learn']}. Means ± standard deviations over the data seeds "
        f"{figures['seeds']}, each with its own test rows, the same for both; default settings. "
        "The peer is scikit-learn's MLPClassifier or MLPRegressor with early stopping in its usual "
        "pipeline (median and indicators, standardised; a column for each text), the label "
        "standardised.",
        "",
        "| table | figure | xpmlp | scikit-learn | difference | goal | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in figures["rows"].items():
        problem = PROBLEMS[name]
        ours, peer = row["xpmlp"], row["peer"]
        figure = "root mean square error" if problem.regression else "accuracy"
        goal, met = verdict(problem, ours, peer)
        difference = (
            f"× {np.mean(ours) / np.mean(peer):.3f}"
            if problem.regression
            else f"{np.mean(ours) - np.mean(peer):+.4f}"
        )
        cells = [name, figure, _spread(ours), _spread(peer), difference, goal, met]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\n{name}: {why}" for name, why in figures["left_out"].items()]
    if large := figures.get("large"):
        lines += ["", *_large(large)]
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    form = ",.0f" if np.mean(values) > 1000 else ".2f" if np.mean(values) > 2 else ".4f"
    return f"{np.mean(values):{form}} ± {deviation:{form}}"


def _large(large: dict[str, Any]) -> list[str]:
    typed, pandas, step = (large[f"{name}_seconds"] for name in ("typed", "pandas", "step"))
    memory, matrix = (large[name] / 2**20 for name in ("memory", "matrix"))
    return [
        "## 1,000,000 rows × 20 columns",
        "",
        f"{large['bytes'] / 1e6:.0f} MB of text: 12 columns of decimals, 2 of whole numbers, 5 of "
        "texts, 1 of yes and no. Medians of alternating runs, each in a process of its own.",
        "",
        "| what | measured | goal |",
        "|---|---|---|",
        f"| file to typed columns | {typed:.2f} s, pandas' `read_csv` {pandas:.2f} s: "
        f"× {typed / pandas:.2f} | at most × 1.5 |",
        f"| from there to the first step | {step:.1f} s | at most 5 s |",
        f"| peak memory above that of an empty run | {memory:.0f} MiB, the float32 matrix "
        f"{matrix:.0f} MiB: × {memory / matrix:.2f} | at most × 3 |",
    ]
