#!/bin/bash
# Guess:   what TensorBoard's own Writer writes by add_scalar, TensorBoard's own reader has among
#          its Scalars.
# Instead: Scalars are empty: each is a tensor of the plugin "scalars", found under Tensors, and
#          asking Scalars for its tag is a KeyError.
# Seen:    tensorboard 2.21.0 as below
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" tensorboard==2.21.0 numpy==2.4.6

"$python" - <<'PY'
from finding import show
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary import Writer
from tensorboard.util.tensor_util import make_ndarray

writer = Writer("log")
for step, loss in enumerate([0.5, 0.25]):
    writer.add_scalar("loss", loss, step)
writer.close()
read = EventAccumulator("log").Reload()
show("scalars", read.Tags()["scalars"], [])
show("tensors", read.Tags()["tensors"], ["loss"])
values = [float(make_ndarray(event.tensor_proto)) for event in read.Tensors("loss")]
show("values under Tensors", values, [0.5, 0.25])
try:
    read.Scalars("loss")
except KeyError:
    print("Scalars('loss'): KeyError")
else:
    raise SystemExit("CHANGED: Scalars('loss') raised KeyError")
PY
