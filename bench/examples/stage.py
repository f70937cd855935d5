"""Where a script runs: `python -m bench.examples.stage SOURCE SCRIPT FOLDER [nudged]`.

SOURCE is the file with the text to run, SCRIPT the path that it believes to be its own. FOLDER
gets its figures, `1.png` and so on in the order in which they were made, and `outcome.json`:
seconds, and why it failed or had no data. What it prints goes where a script's prints go.
nudged: scikit-learn's MLP gets rows that differ in their last bit.
"""

import functools
import http.client
import json
import random
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OUTCOME = "outcome.json"
FAILED, UNAVAILABLE = "failed", "unavailable"
LONGEST_ANSWER = 30.0
MNIST = "mnist_784"
NUDGED = "nudged"
LAST_BIT = 2.0**-52


class NoDataError(Exception):
    """A data set that can't be had here; the text says why."""


class Figures:
    """Saves figures as they are shown, which closes them, as a person does with windows."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.saved = folder, 0

    def save(self) -> None:
        """Save and close all figures that are open."""
        import matplotlib.pyplot as plt

        for number in plt.get_fignums():
            self.saved += 1
            plt.figure(number).savefig(self.folder / f"{self.saved}.png")
        plt.close("all")


def run(text: str, script: Path, folder: Path) -> dict[str, Any]:
    """Run a script as a program; return seconds, status and reason, and leave its figures.

    The global random state is the same at the start of every script, for those that leave a
    `random_state` open.
    """
    figures = Figures(folder)
    prepare(figures)
    module = types.ModuleType("__main__")
    module.__file__ = str(script)
    sys.modules["__main__"], sys.argv = module, [str(script)]
    sys.path[0] = str(script.parent)
    outcome = {"status": "", "reason": ""}
    start = time.perf_counter()
    try:
        with ended_well():
            exec(compile(text, str(script), "exec"), module.__dict__)
        figures.save()
    except (NoDataError, ModuleNotFoundError) as error:
        outcome = {"status": UNAVAILABLE, "reason": str(error)}
    except BaseException as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        outcome = {"status": FAILED, "reason": reason}
    return {"seconds": time.perf_counter() - start, **outcome}


@contextmanager
def ended_well() -> Iterator[None]:
    """Let a script end itself where it does not call that a failure."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise


def prepare(figures: Figures) -> None:
    """Set what all scripts find: figures that are saved, MNIST, and no endless downloads."""
    import matplotlib.pyplot as plt
    import numpy as np
    import sklearn.datasets

    plt.show = lambda *_, **__: figures.save()
    socket.setdefaulttimeout(LONGEST_ANSWER)
    for name in dir(sklearn.datasets):
        if name.startswith("fetch_"):
            setattr(sklearn.datasets, name, guarded_fetch(getattr(sklearn.datasets, name)))
    random.seed(0)
    np.random.seed(0)


def nudge() -> None:
    """Let scikit-learn's MLP fit rows that are larger by a rounding than those it is given."""
    from sklearn import neural_network

    for made in (neural_network.MLPClassifier, neural_network.MLPRegressor):
        made.fit = nudged(made.fit)


def nudged(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fit` with other rows."""

    @functools.wraps(fit)
    def other(self: Any, X: Any, *arguments: Any, **options: Any) -> Any:
        return fit(self, X * (1.0 + LAST_BIT), *arguments, **options)

    return other


def guarded_fetch(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fetches, or gives MNIST's rows, or raises NoDataError."""

    @functools.wraps(fetch)
    def guarded(*arguments: Any, **options: Any) -> Any:
        if MNIST in (*arguments[:1], options.get("name")) and (rows := mnist(options)):
            return rows
        try:
            return fetch(*arguments, **options)
        except (OSError, http.client.HTTPException) as error:
            wanted = ", ".join(map(str, arguments[:1]))
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise NoDataError(f"{fetch.__name__}({wanted}): {reason}") from error

    return guarded


def mnist(options: dict[str, Any]) -> Any:
    """Return xpmlp's MNIST as OpenML has it: 70,000 rows of 0 to 255, labels as strings.

    None where it is not on this machine, or is asked for as a table.
    """
    from bench.estimators.problems import load_mnist
    from xpmlp.errors import DataUnavailableError

    if options.get("as_frame", "auto"):
        return None
    import numpy as np
    from sklearn.utils import Bunch

    try:
        data = load_mnist("float64", "none")
    except DataUnavailableError:
        return None
    x = np.concatenate([data.train.x, data.test.x])
    y = np.concatenate([data.train.y, data.test.y]).astype(str).astype(object)
    return (x, y) if options.get("return_X_y") else Bunch(data=x, target=y)


def main(source: str, script: str, folder: str, how: str = "") -> int:
    """Run a script and write its outcome; return the exit code."""
    if how == NUDGED:
        nudge()
    text = Path(source).read_text(encoding="utf-8")
    outcome = run(text, Path(script), Path(folder))
    (Path(folder) / OUTCOME).write_text(json.dumps(outcome), encoding="utf-8")
    return 1 if outcome["status"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
