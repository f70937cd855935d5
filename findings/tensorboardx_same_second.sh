#!/bin/bash
# Guess:   two writers of one folder, one for training and one for validation, make two files, as
#          TensorBoard's and PyTorch's do; or the second adds to the first's.
# Instead: tensorboardX names a file by the second and the host: of two that begin in the same
#          second the later one's scalars alone are left. A filename_suffix keeps them apart.
# Seen:    tensorboardX 2.6.5, tensorboard 2.21.0 as below, the clock held still
# Source:  tensorboardX/event_file_writer.py: ".out.tfevents." + str(time.time())[:10] + host
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" tensorboardX==2.6.5 tensorboard==2.21.0 numpy==2.4.6

"$python" - <<'PY'
from pathlib import Path
from unittest.mock import patch

from finding import show
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.summary import Writer
from tensorboardX import SummaryWriter


def left(folder, make, *options):
    with patch("time.time", return_value=1.0e9):
        writers = [make(folder, **each) for each in options]
        for part, writer in zip(("training", "validation"), writers):
            writer.add_scalar(part, 0.5, 0)
            writer.close()
    return sorted(
        value.tag
        for file in Path(folder).iterdir()
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
    )


named = {"filename_suffix": ".training"}, {"filename_suffix": ".validation"}
show("tensorboardX", left("x", SummaryWriter, {}, {}), ["validation"])
show("tensorboardX, named", left("named", SummaryWriter, *named), ["training", "validation"])
show("tensorboard", left("own", Writer, {}, {}), ["training", "validation"])
PY
