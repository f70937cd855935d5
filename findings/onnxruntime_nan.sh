#!/bin/bash
# Guess:   NaN goes through a network and shows at its end: ReduceMax and ArgMax of a row with a NaN
#          give NaN and its place, as in NumPy and in onnx's reference evaluator.
# Instead: under onnxruntime it depends on where the NaN stands: first, it wins; elsewhere it is
#          passed over. A row of logits with a NaN gets an ordinary class. Max of two tensors and
#          Relu do hand it on.
# Seen:    onnxruntime 1.32.0 (CPU): ReduceMax [2, nan, 2], ArgMax [2, 0, 0] of the rows below;
#          onnx 1.23.2's reference: [nan, nan, nan], [1, 0, 2]
# Source:  https://github.com/microsoft/onnxruntime/issues/10514
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

nan = float("nan")
ROWS = np.array([[1, nan, 2], [nan, 1, 2], [2, 1, nan]], dtype=np.float32)


def answers(operator, inputs, kind, shape, **attributes):
    names = ["x", "x"][:inputs]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 3])],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return [str(e.run(None, {"x": ROWS})[0].tolist()) for e in (session, ReferenceEvaluator(model))]


largest = answers("ReduceMax", 1, TensorProto.FLOAT, [3], axes=[1], keepdims=0)
show("ReduceMax, onnxruntime and reference", largest, ["[2.0, nan, 2.0]", "[nan, nan, nan]"])
place = answers("ArgMax", 1, TensorProto.INT64, [3], axis=1, keepdims=0)
show("ArgMax, onnxruntime and reference", place, ["[2, 0, 0]", "[1, 0, 2]"])
for operator, inputs in (("Relu", 1), ("Max", 2)):
    seen = answers(operator, inputs, TensorProto.FLOAT, [3, 3])
    show(f"{operator} keeps NaN in both", seen, [str(ROWS.tolist())] * 2)
PY
