#!/bin/bash
# Guess:   an operator that onnxruntime computes in float64 at one opset it computes at the later
#          ones too; the checker, or at least the type list of the operator, would say otherwise.
# Instead: Elu and Softplus in float64 run at opset 18 and at no other from 13 to 22, LeakyRelu
#          from 16 to 18; everywhere else the session is refused as NOT_IMPLEMENTED. onnx's checker
#          and its reference evaluator take all of them. Relu, Sigmoid and Tanh always run.
# Seen:    onnxruntime 1.32.0 (CPU), onnx 1.23.2 as below
# Source:  docs/OperatorKernels.md of onnxruntime lists the kernels; where there is none the
#          function body that the standard gives an operator may step in, written for one opset
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$python" - <<'PY'
import numpy as np
import onnx
import onnxruntime
from finding import show
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

OPSETS = range(13, 23)
X = np.array([1.0, -1.0])


def runs(operator, opset):
    x, y = (helper.make_tensor_value_info(n, TensorProto.DOUBLE, [2]) for n in "xy")
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": X})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    except Exception as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
        return False
    np.testing.assert_allclose(session.run(None, {"x": X})[0], expected)
    return True


known = {"Elu": [18], "Softplus": [18], "LeakyRelu": [16, 17, 18]}
for operator in ("Elu", "Softplus", "LeakyRelu", "Relu", "Sigmoid", "Tanh"):
    seen = [opset for opset in OPSETS if runs(operator, opset)]
    show(f"{operator} in float64 runs at opsets", seen, known.get(operator, list(OPSETS)))
PY
