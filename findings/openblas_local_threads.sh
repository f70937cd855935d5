#!/bin/bash
# Guess:   `openblas_set_num_threads_local`, made to match MKL's function of that name, sets the
#          number of threads for the calling thread alone.
# Instead: in NumPy's wheels it sets that of the whole process: another thread's call leaves the
#          main thread with one. To keep products of several threads apart, set 1 for all of them
#          and put the number back.
# Seen:    OpenBLAS 0.3.31 (threads by pthreads) in NumPy 2.4.6 on Linux, as below
# Source:  openblas_set_num_threads.c of OpenBLAS calls the other function; pull request 5808 there
#          says that it is meant to match MKL's "but may not yet be complete"
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" numpy==2.4.6 threadpoolctl==3.8.0

"$python" - <<'PY'
import ctypes
from threading import Thread

import numpy
from finding import show
from threadpoolctl import threadpool_info

(about,) = threadpool_info()
library = ctypes.CDLL(about["filepath"])
show("threads by", about["threading_layer"], "pthreads")
library.scipy_openblas_set_num_threads64_(2)
read = library.scipy_openblas_get_num_threads64_
show("threads of the main thread", read(), 2)
other = Thread(target=library.openblas_set_num_threads_local, args=(1,))
other.start()
other.join()
show("after another thread has set its own to 1", read(), 1)
PY
