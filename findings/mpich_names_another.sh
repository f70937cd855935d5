#!/bin/bash
# Guess:   when a process of a job is killed, the PID in mpiexec's report is the one that died.
# Instead: it is that of the first process on the machine, whichever died, so that one looks for
#          the cause in the wrong log.
# Seen:    mpich 5.0.2 (Hydra) of the package index, mpi4py 4.1.2
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" mpich==5.0.2 mpi4py==4.1.2

cat > job.py <<'PY'
import os
import signal
import time
from pathlib import Path

from mpi4py import MPI

ranks = MPI.COMM_WORLD
Path(f"pid-{ranks.rank}").write_text(str(os.getpid()))
ranks.Barrier()
if ranks.rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
PY
"$folder/venv/bin/mpiexec" -n 3 "$python" -m mpi4py job.py > report 2>&1 || true

"$python" - <<'PY'
import re
from pathlib import Path

from finding import show

named = re.search(r"PID (\d+) RUNNING", Path("report").read_text())[1]
ranks = {Path(f"pid-{rank}").read_text(): rank for rank in range(3)}
show("the rank that was killed", 1, 1)
show("the rank whose PID is reported", ranks[named], 0)
PY
