"""`python -m bench.ensembles`: ensembles beside one tuned net and gradient boosting.

Each data seed splits a table into a fifth that tests, a fifth of the rest that validates, and the
rows that train. On the same test rows: the ensemble; of its nets the best alone by the rows that
validate, which is a random search of the same price; xpmlp's default net for tables; and
scikit-learn's HistGradientBoosting with default settings on all other rows.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.results import make_folder
from bench.tables.problems import PROBLEMS, Problem, make_file, parted_rows
from xpmlp.commands import Parser, guarded, path, run_as_program
from xpmlp.console import show, warn
from xpmlp.data.dataset import Dataset
from xpmlp.errors import EXIT_INTERRUPTED, DataUnavailableError, unknown_name
from xpmlp.files import write_whole

PROGRAM = "python -m bench.ensembles"
KIND = "ensembles"
JSON, PAGE = f"{KIND}.json", f"{KIND}.md"
NAMES = [name for name in PROBLEMS if name != "iris"]
BEST = "best of its nets"
CONTENDERS = ("ensemble", BEST, "default net", "HistGradientBoosting")
Figures = dict[str, float]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library, so that --help is quick."""
    parser = Parser(prog=PROGRAM, description="Measure ensembles beside their peers.")
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help=f"{', '.join(NAMES)} [all]")
    add("--splits", type=int, default=10, metavar="N", help="data seeds 0 to N - 1 [10]")
    add("--members", type=int, default=64, metavar="K", help="nets of an ensemble [64]")
    add("--rows", type=int, metavar="N", help="so many rows of a larger table, by chance [all]")
    add("--threads", type=int, metavar="N", help="of the nets' steps [one a processor]")
    add("--out", type=path, metavar="DIR", help="folder of the results")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Measure what the flags ask for, saved after every split; return the exit code."""
    for name in arguments.only or ():
        if name not in NAMES:
            raise unknown_name("table", name, NAMES)
    folder = make_folder(arguments.out, KIND, JSON)
    figures = _begun(arguments)
    try:
        with TemporaryDirectory() as place:
            for name in arguments.only or NAMES:
                _measure(PROBLEMS[name], arguments, Path(place), figures, folder)
    except KeyboardInterrupt:
        warn(f"{PROGRAM}: interrupted; what was measured is in {folder}")
        return EXIT_INTERRUPTED
    show(f"results in {folder}", sys.stdout)
    return 0


def _begun(arguments: argparse.Namespace) -> dict[str, Any]:
    import sklearn

    from bench.machine import describe_machine

    return {
        "finished": "",
        "splits": arguments.splits,
        "members": arguments.members,
        "rows_at_most": arguments.rows,
        "machine": describe_machine(),
        "scikit_learn": sklearn.__version__,
        "left_out": {},
        "rows": {},
    }


def _measure(
    problem: Problem, arguments: argparse.Namespace, place: Path, figures: Any, folder: Path
) -> None:
    try:
        file = some_rows(make_file(problem, place), arguments.rows, place)
    except DataUnavailableError as error:
        figures["left_out"][problem.name] = str(error)
        return
    row: dict[str, list[Figures]] = {who: [] for who in CONTENDERS}
    for seed in range(arguments.splits):
        for who, found in fits(problem, file, seed, arguments).items():
            row[who].append(found)
        figures["rows"][problem.name] = row
        last = [(who, found[-1]) for who, found in row.items()]
        told = [f"{who} {of['figure']:.5g} ({of['seconds']:.1f} s)" for who, of in last]
        warn(f"{problem.name}, split {seed}: {', '.join(told)}")
        figures["finished"] = f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z}"
        write_whole(folder / JSON, json.dumps(figures, indent=2, allow_nan=False) + "\n")
        write_whole(folder / PAGE, page(figures))


def some_rows(file: Path, most: int | None, place: Path) -> Path:
    """Return a file with so many of the rows, drawn by chance, or the file itself."""
    lines = file.read_text().splitlines()
    if most is None or len(lines) - 1 <= most:
        return file
    chosen = np.sort(np.random.default_rng(0).permutation(len(lines) - 1)[:most]) + 1
    part = place / f"{file.stem}-{most}.csv"
    part.write_text("\n".join([lines[0], *(lines[i] for i in chosen)]) + "\n")
    return part


def fits(
    problem: Problem, file: Path, seed: int, arguments: argparse.Namespace
) -> dict[str, Figures]:
    """Return what each contender comes to on one split."""
    from xpmlp.data.registry import load_dataset
    from xpmlp.search.ensemble_classifier import MLPEnsembleClassifier
    from xpmlp.search.ensemble_regressor import MLPEnsembleRegressor
    from xpmlp.training.config import Config
    from xpmlp.training.setup import backend_for, make_members

    label = problem.label or None
    data = load_dataset(str(file), label=label, seed=seed, validation=0.2)
    kind: Any = MLPEnsembleRegressor if problem.regression else MLPEnsembleClassifier
    began = time.perf_counter()
    ensemble = kind(arguments.members, scale="none", random_state=seed, threads=arguments.threads)
    ensemble.fit(data.train.x, _y(data, "train"), None, data.validation.x, _y(data, "validation"))
    seconds = time.perf_counter() - began
    scored = partial(_scored, data)
    found = {
        who: scored(model.predict_outputs(data.test.x)) | {"seconds": seconds}
        for who, model in (("ensemble", ensemble.ensemble_), (BEST, ensemble.best_net_))
    }
    found["ensemble"]["nets"] = len(ensemble.ensemble_.nets)

    began = time.perf_counter()
    usual = load_dataset(str(file), label=label, seed=seed)
    config = Config(dataset=str(file), label=label, seed=seed, threads=arguments.threads)
    (trainer,) = make_members([config], usual, backend_for(config)).trainers
    for _ in trainer.epochs():
        pass
    seconds = time.perf_counter() - began
    outputs = trainer.model().predict_outputs(usual.test)
    found["default net"] = _scored(usual, outputs) | {"seconds": seconds}
    found["HistGradientBoosting"] = _boosted(problem, file, seed, scored)
    return found


def _y(data: Dataset, part: str) -> np.ndarray:
    y: np.ndarray = getattr(data, part).y
    return y if data.class_names else y[:, 0]


def _scored(data: Dataset, outputs: np.ndarray) -> Figures:
    """Return the accuracy and the logarithmic loss, or the root mean square error, over tests."""
    y = _y(data, "test")
    if not data.class_names:
        return {"figure": float(np.sqrt(np.mean((outputs.ravel() - y) ** 2)))}
    truth = np.maximum(outputs[np.arange(len(y)), y], 1e-15)
    accuracy = float((outputs.argmax(axis=1) == y).mean())
    return {"figure": accuracy, "log_loss": float(-np.log(truth).mean())}


def _boosted(
    problem: Problem, file: Path, seed: int, scored: Callable[[np.ndarray], Figures]
) -> Figures:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    frame = pd.read_csv(file, skipinitialspace=True, na_values=["?"])
    y = frame.pop(problem.label or frame.columns[-1]).to_numpy()
    for name in frame.select_dtypes(exclude="number"):
        frame[name] = frame[name].astype("category")
    rest, test = parted_rows(y, seed, problem.regression)
    kind: Any = (
        HistGradientBoostingRegressor if problem.regression else HistGradientBoostingClassifier
    )
    began = time.perf_counter()
    model = kind(categorical_features="from_dtype", random_state=seed).fit(
        frame.iloc[rest], y[rest]
    )
    seconds = time.perf_counter() - began
    ask = model.predict if problem.regression else model.predict_proba
    return scored(ask(frame.iloc[test])) | {"seconds": seconds}


def page(figures: dict[str, Any]) -> str:
    """Return the page of what was measured so far."""
    machine, most = figures["machine"], figures["rows_at_most"]
    lines = [
        "# Ensembles, beside one tuned net and gradient boosting",
        "",
        f"Made by `python -m bench.ensembles --members {figures['members']} --splits "
        f"{figures['splits']}{f' --rows {most}' if most else ''}` on {machine['cpu']}, "
        f"{figures['finished']}; scikit-learn {figures['scikit_learn']}. Means ± standard "
        "deviations over the data seeds, each with its own test rows, the same for all. The "
        "ensemble validates on a fifth of the rows that don't test; the best of its nets is "
        "chosen on the same rows, at the same price; boosting trains on all rows that don't test. "
        "Accuracy, higher is better, with the logarithmic loss in brackets; of values root mean "
        "square error, lower is better. Wins: splits on which the ensemble's log loss, or error, "
        "is the lower one.",
        "",
        f"| table | {' | '.join(CONTENDERS)} | wins against them | seconds |",
        f"|{'---|' * (len(CONTENDERS) + 3)}",
    ]
    for name, row in figures["rows"].items():
        cells = [name, *(_cell(row[who]) for who in CONTENDERS)]
        n = len(row["ensemble"])
        wins = [f"{_wins(row, who)}" for who in CONTENDERS[1:]]
        seconds = [f"{np.mean([f['seconds'] for f in row[who]]):.1f}" for who in CONTENDERS]
        cells += [f"{', '.join(wins)} of {n}", f"{seconds[0]}, {seconds[2]}, {seconds[3]}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Seconds are those of the ensemble, the default net and boosting."]
    lines += [f"\n{name}: {why}" for name, why in figures["left_out"].items()]
    return "\n".join(lines) + "\n"


def _lower(found: Figures) -> float:
    return found.get("log_loss", found["figure"])


def _wins(row: dict[str, list[Figures]], other: str) -> int:
    pairs = zip(row["ensemble"], row[other], strict=True)
    return sum(_lower(ours) < _lower(theirs) for ours, theirs in pairs)


def _cell(found: list[Figures]) -> str:
    values = [f["figure"] for f in found]
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    form = ",.0f" if np.mean(values) > 1000 else ".2f" if np.mean(values) > 2 else ".4f"
    text = f"{np.mean(values):{form}} ± {deviation:{form}}"
    losses = [f["log_loss"] for f in found if "log_loss" in f]
    return f"{text} ({np.mean(losses):.4f})" if losses else text


if __name__ == "__main__":
    run_as_program(main)
