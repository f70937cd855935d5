#!/bin/bash
# Guess:   Cast to INT64 makes an int64 tensor, whichever reader runs the graph; the output's
#          declared type says so as well.
# Instead: tract makes a TDim of it, its type for symbolic sizes, and its Python interface refuses
#          to hand that out. The same zeros and ones chosen by Where between int64 constants are
#          int64.
# Seen:    tract 0.23.9: TractError for Cast, [[1, 0], [0, 1]] for Where
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 onnx==1.23.2 tract==0.23.9

"$python" - <<'PY'
import numpy as np
import tract
from finding import show
from onnx import TensorProto, helper, numpy_helper, save

CONSTANTS = [numpy_helper.from_array(np.array([0.5], "float32"), "half")]
CONSTANTS += [numpy_helper.from_array(np.array([n], "int64"), name) for n, name in enumerate("ab")]


def answer(node):
    above = helper.make_node("Greater", ["x", "half"], ["above"])
    graph = helper.make_graph(
        [above, node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", 2))],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ("N", 2))],
        CONSTANTS,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    save(model, "graph.onnx")
    net = tract.onnx().load("graph.onnx").into_model().into_runnable()
    try:
        return net.run([np.eye(2, dtype="float32")])[0].to_numpy().tolist()
    except tract.TractError as error:
        return "TractError" + " of a TDim" * ("TDim" in str(error))


cast = helper.make_node("Cast", ["above"], ["y"], to=TensorProto.INT64)
show("Cast", answer(cast), "TractError of a TDim")
show("Where", answer(helper.make_node("Where", ["above", "b", "a"], ["y"])), [[1, 0], [0, 1]])
PY
