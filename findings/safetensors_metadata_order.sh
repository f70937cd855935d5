#!/bin/bash
# Guess:   the same arrays and the same metadata give the same bytes, so a file's checksum tells
#          whether a model is the same one: the header is sorted JSON, or in the dict's order.
# Instead: several metadata keys are written in an order that changes from call to call, even
#          within a process. With a single key the bytes stay the same.
# Seen:    safetensors 0.8.0: eight keys, 20 saves: more than one content; one key: one content
# Source:  safetensors/src/tensor.rs: the metadata is a HashMap<String, String>, which Rust
#          iterates in random order
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 safetensors==0.8.0

"$python" - <<'PY'
import numpy as np
from finding import show
from safetensors.numpy import load, save


def contents(n_keys):
    metadata = {f"key {i}": "value" for i in range(n_keys)}
    return {save({"w": np.zeros(2)}, metadata) for _ in range(20)}


eight = contents(8)
print("different contents of 20 saves with eight keys:", len(eight))
show("saves with eight keys differ", len(eight) > 1, True)
show("they hold the same array", {load(c)["w"].tobytes() for c in eight}, {bytes(16)})
show("different contents of 20 saves with one key", len(contents(1)), 1)
PY
