"""The graph's answers, as onnxruntime gives them, against those of the model itself."""

from collections.abc import Callable, Iterator
from textwrap import shorten
from typing import Any, NamedTuple

import numpy as np

from xpmlp.errors import RunError
from xpmlp.onnx_export.graphs import (
    PLAIN,
    Form,
    computed,
    has_several_labels,
    is_one_sided,
)
from xpmlp.onnx_export.inputs import Raw, feeds, rounded
from xpmlp.onnx_export.nodes import PREDICTIONS, PROBABILITIES
from xpmlp.training.model import Model

Feeds = dict[str, np.ndarray]

TOLERANCE = 1e-5
TOO_FINE = (
    "; the features are too fine for float32: choose --input-dtype float64; OpenVINO and OpenCV 4 "
    "scale in float32 all the same, so for these centre such columns before the training"
)


class Check(NamedTuple):
    """The largest difference of the graph's answers from the model's, and what is allowed."""

    difference: float
    allowed: float


def check(content: bytes, model: Model, rows: Raw, form: Form = PLAIN) -> Check:
    """Compare the answers of onnxruntime with those of the model, and return how they differ.

    content: a serialised ONNX model of `to_onnx` with that form. rows: raw features (N, D), float,
    or the columns of a table, N ≥ 1, which the graph gets in its inputs' dtypes.
    Allowed is 1e-5, for values times the largest of them where that is above one; or, where that
    is more, four times what rounding costs the model itself: how far its answers with the
    parameters in the dtype of the graph are from those with all in float64. A label may differ
    where two classes come equally close, or where a probability of several labels comes equally
    close to 1/2. Raises RunError for more, and for a graph that does not run.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        expected = _expected(model, rows)
        actual, labels = _answers(content, feeds(model, rows, form.input_dtype))
        difference = _largest_difference(actual, expected)
        allowed = max(TOLERANCE * _unit(model, expected), 4.0 * _rounding(model, rows, form))
        if not difference <= allowed:
            given = rounded(rows, form.input_dtype)
            too_fine = _largest_difference(_expected(model, given), expected) > allowed
            raise RunError(
                f"onnxruntime's answers differ from the model's by up to {difference:.1e}, and "
                f"{allowed:.1e} is allowed, so nothing was written" + too_fine * TOO_FINE
            )
    if labels is not None and (_behind(labels, expected, model) > 2 * allowed).any():
        raise RunError("onnxruntime gives other labels than the model, so nothing was written")
    return Check(difference, allowed)


def _unit(model: Model, expected: np.ndarray) -> float:
    """Return 1 for probabilities; for values the largest finite one, where that is above 1."""
    if PREDICTIONS[model.loss][0] == PROBABILITIES:
        return 1.0
    return max(1.0, float(np.abs(expected).max(initial=0.0, where=np.isfinite(expected))))


def _rounding(model: Model, rows: Raw, form: Form) -> float:
    """Return the largest finite error of answers in the graph's dtype against those of float64."""
    answers = _expected(computed(model, form), rows)
    error = np.abs(answers - _expected(model.astype("float64"), rows))
    return float(error.max(initial=0.0, where=np.isfinite(error)))


def _expected(model: Model, rows: Raw) -> np.ndarray:
    """Return the answers of the model itself, in two columns where the graph has two."""
    x = model.scale_inputs(rows) if isinstance(rows, np.ndarray) else model.prepare(rows)
    outputs = model.outputs_of(model.scaled_logits(x))
    return np.hstack([1.0 - outputs, outputs]) if is_one_sided(model) else outputs


def _answers(content: bytes, given: Feeds) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the first output (N, C) and the labels (N,), from one row alone and then the rest."""
    run = open_session(content)
    pieces = [list(run(piece).values()) for piece in _first_and_rest(given)]
    outputs = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    return outputs[0], outputs[1] if len(outputs) > 1 else None


def open_session(content: bytes) -> Callable[[Feeds], dict[str, np.ndarray]]:
    """Return what runs a serialised model: inputs in, outputs by their names out.

    Both raise RunError, in one line, for a graph that does not run.
    """
    import onnx
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1

    def open_checked() -> InferenceSession:
        onnx.checker.check_model(content, full_check=True)
        return InferenceSession(content, options, providers=["CPUExecutionProvider"])

    session = _in_one_line(open_checked)
    names = [output.name for output in session.get_outputs()]
    return lambda given: dict(
        zip(names, _in_one_line(lambda: session.run(None, given)), strict=True)
    )


def _in_one_line(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # both packages raise classes of their own for anything wrong
        reason = shorten(str(error), 200, placeholder=" …")
        raise RunError(f"the ONNX graph does not run, so nothing was written: {reason}") from error


def _first_and_rest(given: Feeds) -> Iterator[Feeds]:
    """Yield the first row, and the others where there are any."""
    for piece in (slice(1), slice(1, None)):
        rows = {name: array[piece] for name, array in given.items()}
        if all(map(len, rows.values())):
            yield rows


def _largest_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest |actual - expected|, which is 0 where both are the same infinity."""
    return float(np.where(actual == expected, 0.0, np.abs(actual - expected)).max(initial=0.0))


def _behind(labels: np.ndarray, expected: np.ndarray, model: Model) -> np.ndarray:
    """Return by how much each label's value falls behind that of the model's own choice."""
    if has_several_labels(model):
        return np.where(labels == (expected > 0.5), 0.0, np.abs(2.0 * expected - 1.0))
    if labels.dtype == object:
        places = {name: place for place, name in enumerate(model.class_names)}
        labels = np.array([places[name] for name in labels])
    chosen = np.take_along_axis(expected, labels[:, None], axis=1)[:, 0]
    behind: np.ndarray = expected.max(axis=1) - chosen
    return behind
