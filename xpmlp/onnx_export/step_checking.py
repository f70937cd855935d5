"""A traced training step, as onnxruntime runs it, against the step itself on NumPy."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import array_api_compat.numpy as xnp
import numpy as np

from xpmlp.errors import RunError
from xpmlp.leaves import leaves, map_tree
from xpmlp.onnx_export.checking import TOLERANCE, Check, open_session
from xpmlp.onnx_export.step_graph import NEW, batch_names, hyper_names, state_names
from xpmlp.training.step import Objective, TrainState, initial_state, make_step
from xpmlp.types import Batch, Hyper, Params

STEPS = 50
SHORT = 5  # each fifth batch is a short one
TOLERANCES = {"float32": TOLERANCE, "float64": 1e-9}


class Trial(NamedTuple):
    """Steps to compare on: what is trained, from which weights, on which batches."""

    objective: Objective
    params: Params
    batches: Sequence[Batch]
    hyper: Hyper

    def astype(self, dtype: str) -> "Trial":
        """Return the trial with all floats in a dtype; whole numbers stay."""

        def cast(leaf: Any) -> Any:
            leaf = np.asarray(leaf)
            return leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf

        cast_parts = map_tree(cast, (self.params, tuple(self.batches), self.hyper))
        return Trial(self.objective, *cast_parts)


def batches_of(rows: Batch, batch_size: int) -> list[Batch]:
    """Return the batches of a trial, each fifth a third as long, of rows drawn at random."""
    n = len(rows.x)
    full = min(batch_size or n, n)
    rng = np.random.default_rng(0)
    counts = [full if i % SHORT else max(1, full // 3) for i in range(1, STEPS + 1)]
    chosen = [rng.choice(n, count, replace=False) for count in counts]
    return [map_tree(lambda part, at=at: part[at], rows) for at in chosen]


def check_step(content: bytes, trial: Trial, dtype: str) -> Check:
    """Take the steps of a trial with onnxruntime and with NumPy; return how far they are apart.

    content: a serialised model of `step_graph`, of that dtype. The difference is the largest of
    any loss on the way and any number of the state at the end; both start from the same weights
    and go on from their own. Allowed is 1e-5 in float32, 1e-9 in float64, times the largest of
    these numbers where that is above 1; or, in float32 where that is more, four times the
    difference of NumPy's steps in float32 from those in float64.
    Raises RunError for more, for a graph that does not run, and where the numbers are not finite.
    """
    expected = _by_numpy(trial.astype(dtype))
    if not all(np.isfinite(leaf).all() for leaf in expected):
        raise RunError(
            f"the loss diverged within {STEPS} steps of the run's learning rate, so there is "
            "nothing to compare with, and nothing was written"
        )
    actual = list(_by_onnxruntime(content, trial.astype(dtype)))
    difference = _largest_difference(actual, expected)
    unit = max(1.0, *(float(np.abs(leaf).max(initial=0.0)) for leaf in expected))
    allowed = TOLERANCES[dtype] * unit
    if dtype == "float32":
        wide = _by_numpy(trial.astype("float64"))
        allowed = max(allowed, 4.0 * _largest_difference(expected, wide))
    if not difference <= allowed:
        raise RunError(
            f"after {STEPS} steps onnxruntime's weights differ from NumPy's by up to "
            f"{difference:.1e}, and {allowed:.1e} is allowed, so nothing was written"
        )
    return Check(difference, allowed)


def _by_numpy(trial: Trial) -> list[np.ndarray]:
    """Return the losses of all steps, one array, and the arrays of the state after them."""
    objective = trial.objective._replace(gradient_norms=False)
    step = make_step(xnp, objective)
    state, losses = _first(trial), []
    with np.errstate(all="ignore"):
        for batch in trial.batches:
            state, metrics = step(state, batch, trial.hyper)
            losses.append(metrics[0])
    return [np.asarray(losses), *leaves((state.params, state.moments))]


def _by_onnxruntime(content: bytes, trial: Trial) -> Iterator[np.ndarray]:
    """Yield what `_by_numpy` returns, as the graph has it."""
    first = _first(trial)
    state, losses = state_names(first), []
    numbers = hyper_names(trial.objective, trial.hyper)
    run = open_session(content)
    for batch in trial.batches:
        results = run({**state, **batch_names(batch), **numbers})
        state = {name: results.get(NEW + name, old) for name, old in state.items()}
        losses.append(results["loss"])
    yield np.asarray(losses)
    yield from (state[name] for name in state if name != "step")


def _first(trial: Trial) -> TrainState:
    return initial_state(xnp, trial.objective, trial.params, np.asarray(0, np.int64))


def _largest_difference(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
