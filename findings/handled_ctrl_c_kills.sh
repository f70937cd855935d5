#!/bin/bash
# Guess:   a KeyboardInterrupt that a program handles is over: it exits with the code it chooses.
# Instead: where it passed through exec of a text, as when Ctrl-C falls into the definition of a
#          dataclass, a program run by `python -m` does its work to the end, its exit code is
#          thrown away, and Python kills itself by SIGINT. Any later exec of a text prevents that.
# Seen:    Python 3.11.7 as below, dataclasses of its standard library
# Source:  https://github.com/python/cpython/blob/v3.11.7/Python/pythonrun.c, run_eval_code_obj
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment" pip

"$python" - <<'PY'
import subprocess
import sys

from finding import show

PROGRAM = """
def run():
    try:
        {body}
    except KeyboardInterrupt:
        {after}
        return 3

raise SystemExit(run())
"""


def exit_code(body, after="pass"):
    with open("program.py", "w") as file:
        file.write(PROGRAM.format(body=body, after=after))
    return subprocess.run([sys.executable, "-m", "program"]).returncode


show("raised, and handled", exit_code("raise KeyboardInterrupt"), 3)
show("raised in an exec", exit_code("exec('raise KeyboardInterrupt')"), -2)
show("and another exec after it", exit_code("exec('raise KeyboardInterrupt')", "exec('')"), 3)
PY
