"""Writing the ONNX file of a model, once it was checked."""

from dataclasses import dataclass
from pathlib import Path

from xpmlp.backends.registry import pip_install
from xpmlp.errors import InputError
from xpmlp.files import write_whole
from xpmlp.onnx_export.checking import Check, check
from xpmlp.onnx_export.graphs import OPSET, PLAIN, Form, interface, to_onnx
from xpmlp.onnx_export.inputs import Raw, Tensor
from xpmlp.training.model import Model


@dataclass(frozen=True)
class Exported:
    """What `export` wrote, and how the check went."""

    path: Path
    bytes: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    check: Check
    opset: int


def export(model: Model, path: Path, rows: Raw, form: Form = PLAIN) -> Exported:
    """Write a model as an ONNX file in one piece, once onnxruntime gives the model's answers.

    rows: raw features (N, D), float, or the columns of a table, to try it on; the rest as for
    `to_onnx` and `check`.
    Raises InputError where a package is missing or the model can't be exported, RunError where
    the check fails, OSError where the file can't be written; the file is then left as it was.
    """
    require_packages()
    content = to_onnx(model, form).SerializeToString()
    checked = check(content, model, rows, form)
    write_whole(path, content)
    return Exported(path, len(content), *interface(model, form), checked, OPSET)


def require_packages() -> None:
    """Raise InputError, with the pip line, where onnx or onnxruntime can't be imported."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        reason = f"{error.name} is not installed" if error.name else str(error)
        raise InputError(
            f"ONNX files need onnx and onnxruntime ({reason}); "
            f"install them with: {pip_install('onnx onnxruntime')}"
        ) from error
