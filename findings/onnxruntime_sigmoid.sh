#!/bin/bash
# Guess:   Sigmoid of -20 is 2.1e-9 in float32, as everywhere; Elu of -1e-8 is -1e-8.
# Instead: onnxruntime's Sigmoid is exactly 0 from -18 down, so its logarithm is -inf; in float64
#          it is 0 at -40 and off by 0.1 % at -30. Elu of -1e-8 is 0: exp(x) - 1 is computed so.
# Seen:    onnxruntime 1.32.0 (CPU) as below; onnx 1.23.2's reference evaluator has the digits
# Source:  onnxruntime/core/mlas/lib/logistic.cpp: the argument is clamped to -18 and 18, then a
#          quotient of polynomials
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$python" - <<'PY'
import numpy as np
import onnxruntime
from finding import show
from onnx import TensorProto, helper
from onnx.helper import np_dtype_to_tensor_dtype
from onnx.reference import ReferenceEvaluator


def answers(operator, dtype, x):
    x = np.array(x, dtype=dtype)
    kind = np_dtype_to_tensor_dtype(x.dtype)
    values = [helper.make_tensor_value_info(name, kind, x.shape) for name in "xy"]
    node = helper.make_node(operator, ["x"], ["y"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    both = [e.run(None, {"x": x})[0] for e in (session, ReferenceEvaluator(model))]
    return [[f"{y:.1e}" for y in ys] for ys in both]


zero = "0.0e+00"
for operator, dtype, x, runtime, reference in (
    ("Sigmoid", "float32", [-10, -20], ["4.5e-05", zero], ["4.5e-05", "2.1e-09"]),
    ("Sigmoid", "float32", [-18], [zero], ["1.5e-08"]),
    ("Sigmoid", "float64", [-20, -40], ["2.1e-09", zero], ["2.1e-09", "4.2e-18"]),
    ("Elu", "float32", [-1e-2, -1e-8], ["-1.0e-02", zero], ["-1.0e-02", "-1.0e-08"]),
):
    seen = answers(operator, dtype, x)
    show(f"{operator} of {x} in {dtype}, onnxruntime and reference", seen, [runtime, reference])
PY
