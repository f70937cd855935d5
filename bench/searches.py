"""`python -m bench.searches`: a grid search beside scikit-learn's, seconds and best setting.

12 settings (4 learning rates, 3 penalties) on 5 folds, one hidden layer of 100, Adam, 60 epochs,
standardised rows. Each peer searches twice in a process of its own, by turns: the first time with
what is to be compiled or started (its worker processes, C code that is not in the cache), the
second time without.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from xpmlp.commands import Parser, guarded, run_as_program
from xpmlp.errors import InputError, RunError

PROGRAM = "python -m bench.searches"
DATA = {"breast cancer": "load_breast_cancer", "digits": "load_digits"}
PEERS = ("scikit-learn", "scikit-learn over xpmlp", "xpmlp", "xpmlp float32")
GRID = {"learning_rate_init": [1e-4, 1e-3, 3e-3, 1e-2], "alpha": [1e-5, 1e-3, 1e-1]}
JOBS, FOLDS = 2, 5


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(
        prog=PROGRAM,
        description="Search a grid with xpmlp.GridSearchCV and with scikit-learn's, n_jobs=2.",
        epilog="exit codes: 0 done, 1 a search failed, 2 bad input, 130 interrupted",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each peer [3]")
    parser.add_argument("--one", nargs=2, metavar=("PEER", "DATA"), help=argparse.SUPPRESS)
    return parser


def search(peer: str, data: str) -> dict[str, Any]:
    """Search twice; return the seconds of both, the best setting, and the mean scores."""
    import warnings

    import sklearn.datasets
    import sklearn.model_selection
    import sklearn.neural_network
    from sklearn.preprocessing import StandardScaler

    import xpmlp

    os.environ["PYTHONWARNINGS"] = "ignore"  # of worker processes
    warnings.simplefilter("ignore")
    x, y = getattr(sklearn.datasets, DATA[data])(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    net = sklearn.neural_network if peer == "scikit-learn" else xpmlp
    own = {"dtype": "float32"} if peer.endswith("float32") else {}
    module = sklearn.model_selection if peer.startswith("scikit-learn") else xpmlp
    estimator = net.MLPClassifier((100,), max_iter=60, random_state=0, **own)
    seconds = []
    for _ in range(2):
        found = module.GridSearchCV(estimator, GRID, cv=FOLDS, n_jobs=JOBS)
        began = time.perf_counter()
        found.fit(x, y)
        seconds.append(time.perf_counter() - began)
    scores = found.cv_results_["mean_test_score"].tolist()
    return {"seconds": seconds, "best": found.best_params_, "scores": scores}


def measured(peer: str, data: str) -> dict[str, Any]:
    """Return what a search in a process of its own came to. Raises RunError."""
    command = [sys.executable, "-m", "bench.searches", "--one", peer, data]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"the search of {peer} on {data} failed: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(arguments: argparse.Namespace) -> int:
    """Measure all, print a table of each data set, and return the exit code."""
    if arguments.one:
        print(json.dumps(search(*arguments.one)))
        return 0
    if arguments.rounds < 1:
        raise InputError(f"--rounds {arguments.rounds}: must be at least 1")
    for data in DATA:
        rounds = [{peer: measured(peer, data) for peer in PEERS} for _ in range(arguments.rounds)]
        print(f"\n{data}: medians of {arguments.rounds} rounds, load {os.getloadavg()[0]:.1f}\n")
        print("| search | first, s | of theirs | second, s | of theirs | best | score off by |")
        print("|---|---|---|---|---|---|---|")
        theirs = medians(rounds, PEERS[0])
        for peer in PEERS:
            own, last = medians(rounds, peer), rounds[-1][peer]
            pairs = zip(last["scores"], rounds[-1][PEERS[0]]["scores"], strict=True)
            off = max(abs(a - b) for a, b in pairs)
            times = [f"{s:.2f} | {s / t:.2f}" for s, t in zip(own, theirs, strict=True)]
            best = ", ".join(f"{value:g}" for value in last["best"].values())
            print(f"| {peer} | {' | '.join(times)} | {best} | {off:.4f} |", flush=True)
    return 0


def medians(rounds: Sequence[dict[str, Any]], peer: str) -> list[float]:
    """Return the median seconds of a peer's first and of its second search."""
    times = [result[peer]["seconds"] for result in rounds]
    return [statistics.median(some) for some in zip(*times, strict=True)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: compare(arguments))


if __name__ == "__main__":
    run_as_program(main)
