#!/bin/bash
# Guess:   orjson, which refuses to write integers of more than 64 bits, refuses to read them; and
#          NumPy refuses the state of a generator in floats.
# Instead: it reads them as floats, and NumPy takes these: the generator of a checkpoint that the
#          json module wrote goes on with other numbers than it would have, without a word.
# Seen:    orjson 3.13.0, NumPy 2.4.6 as below; the json module, msgspec 0.23.0 read them exactly
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" orjson==3.13.0 msgspec==0.23.0 numpy==2.4.6

"$python" -W error - <<'PY'
import json

import msgspec
import numpy as np
import orjson
from finding import show

generator = np.random.default_rng(0)
checkpoint = json.dumps(generator.bit_generator.state)
going_on = generator.random()


def resumed(loads):
    generator = np.random.default_rng(0)
    generator.bit_generator.state = loads(checkpoint)
    return generator.random()


try:
    orjson.dumps(json.loads(checkpoint))
except TypeError as error:
    show("orjson, writing", str(error), "Integer exceeds 64-bit range")
else:
    raise SystemExit("CHANGED: orjson refused to write it")
show("orjson, reading", orjson.loads(str(2**65 + 1)), 36893488147419103232.0)
show("without an interruption", round(going_on, 6), 0.636962)
show("resumed by json", round(resumed(json.loads), 6), 0.636962)
show("resumed by msgspec", round(resumed(msgspec.json.decode), 6), 0.636962)
show("resumed by orjson", round(resumed(orjson.loads), 6), 0.043317)
PY
