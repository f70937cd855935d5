"""A search's list of fits, done as a pack: begun one by one, trained side by side, then scored.

Takes the place of `sklearn.utils.parallel.Parallel`. What it is called with are fits of a
candidate on a fold, each with its scores, as scikit-learn's `_fit_and_score` takes them.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

from array_api_compat import array_namespace, device
from sklearn.base import clone
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel
from sklearn.utils.validation import _check_method_params

from xpmlp.console import warn_outside
from xpmlp.estimator.arrays import home_of
from xpmlp.search.together import Fit, NotPacked, Together, require_ours
from xpmlp.training.texts import count

Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
MOST_BYTES = 2**30  # of rows in one pack


class Pack:
    """What scikit-learn's search hands its fits to: as its `Parallel`, a context to be called."""

    def __init__(self, **options: Any) -> None:
        self.parallel = Parallel(**options)
        self.told = False

    def __enter__(self) -> "Pack":
        self.parallel.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.parallel.__exit__(*error)

    def __call__(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        """Return what became of each job, in their order."""
        listed = list(jobs)
        results: dict[int, dict[str, Any]] = {}
        reasons: dict[int, str] = {}
        for some in in_packs(listed):
            results |= self._done({i: listed[i] for i in some}, reasons)
        if reasons:
            self._tell(list(reasons.values()), len(listed))
            others = self.parallel(listed[i] for i in reasons)
            results |= zip(reasons, others, strict=True)
        return [results[i] for i in range(len(listed))]

    def _done(self, jobs: dict[int, Job], reasons: dict[int, str]) -> dict[int, dict[str, Any]]:
        """Return what became of the jobs that can be packed, and note why others can't."""
        began, folds, together = time.perf_counter(), Folds(), Together(len(jobs))
        packed: dict[int, Job] = {}
        for i, (function, (estimator, X, y), options) in jobs.items():
            try:
                require_ours(estimator)
                estimator.set_params(**clone(options["parameters"], safe=False))
                shell = copy(estimator)
                fit = together.begin(estimator, *folds.of(estimator, X, y, options))
            except NotPacked as reason:
                reasons[i] = str(reason)
                continue
            if fit.failure is not None and options["error_score"] == "raise":
                raise fit.failure
            shell.fit = ending(shell, fit)
            packed[i] = function, (shell, X, y), options
        if not packed:
            return {}
        together.train()
        share = (time.perf_counter() - began) / len(packed)
        made = Parallel(n_jobs=1, backend="sequential")(packed.values())
        for result in made:
            result["fit_time"] += share
        return dict(zip(packed, made, strict=True))

    def _tell(self, reasons: list[str], fits: int) -> None:
        if not self.told:
            self.told = True
            why = "; ".join(f"{count(n, 'fit')}: {why}" for why, n in Counter(reasons).items())
            warn_outside(
                f"{len(reasons)} of {count(fits, 'fit')} can't train side by side, and go one by "
                f"one through scikit-learn's loop ({why})"
            )


class Folds:
    """The rows of each fold, taken once for all candidates that train on it."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Any, Any, dict[str, Any]]] = {}

    def of(self, estimator: Any, X: Any, y: Any, options: dict[str, Any]) -> tuple[Any, ...]:
        """Return the rows X, y that a job trains on, and what else its `fit` takes of them."""
        train = options["train"]
        if id(train) not in self.known:
            index = train
            if home_of(X) is not None:
                index = array_namespace(X).asarray(train, device=device(X))
            params = _check_method_params(X, params=options["fit_params"] or {}, indices=index)
            self.known[id(train)] = (*_safe_split(estimator, X, y, index), params)
        return self.known[id(train)]


def in_packs(jobs: list[Job]) -> Iterable[list[int]]:
    """Yield the numbers of the jobs of each pack, whose folds have rows of at most MOST_BYTES."""
    folds: dict[int, list[int]] = {}
    for i, (_, _, options) in enumerate(jobs):
        folds.setdefault(id(options["train"]), []).append(i)
    some: list[int] = []
    held = 0
    for numbers in folds.values():
        _, (_, X, _), options = jobs[numbers[0]]
        width = X.shape[1] if len(getattr(X, "shape", ())) > 1 else 1
        size = 8 * len(options["train"]) * width
        if some and held + size > MOST_BYTES:
            yield sorted(some)
            some, held = [], 0
        some, held = some + numbers, held + size
    if some:
        yield sorted(some)


def ending(shell: Any, fit: Fit) -> Callable[..., Any]:
    """Return the `fit` of a copy of the estimator, which is there already and has but to end."""

    def end(*_: Any, **__: Any) -> Any:
        del shell.fit
        vars(shell).update(vars(fit.end()))
        return shell

    return end
