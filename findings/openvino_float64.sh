#!/bin/bash
# Guess:   A graph whose input, constant and output are float64 is computed in float64, or refused.
# Instead: OpenVINO hands out float64 and computes in float32, with no warning: 1.7e9 (a time in
#          seconds) taken from itself and 50 to 350 more leaves whatever float32 rounds these to.
# Seen:    openvino 2026.4.1 (CPU, precision hint f32): 0, 0, 128, 128, 256, 256, 256, 384 in
#          place of 0, 50, ..., 350; onnx 1.23.2's reference evaluator gives these
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 onnx==1.23.2 openvino==2026.4.1

"$python" - <<'PY'
import numpy as np
import openvino
from finding import show
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

START = 1.7e9
seconds = np.arange(0.0, 400.0, 50.0)[:, None]
graph = helper.make_graph(
    [helper.make_node("Sub", ["x", "start"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ("N", 1))],
    [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ("N", 1))],
    [numpy_helper.from_array(np.array([START]), "start")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
(reference,) = ReferenceEvaluator(model).run(None, {"x": START + seconds})
core = openvino.Core()
read = core.read_model(model.SerializeToString())
compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
found = compiled([START + seconds])["y"]

show("dtype of OpenVINO's answer", str(found.dtype), "float64")
show("the reference", reference.ravel().tolist(), seconds.ravel().tolist())
rounded = (START + seconds).astype(np.float32) - np.float32(START)
show("OpenVINO", found.ravel().tolist(), rounded.ravel().tolist())
PY
