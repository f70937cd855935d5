"""`xpmlp train` with a fault planted, so that a test can tell whether the campaign finds it.

The variable TORTURE_PLANTED names it: `torn`, files are put in place bit by bit; `stale`, only
the first checkpoint is; `silent`, whatever happens the exit code is 0 and nothing is said.
"""

import os
from pathlib import Path

from xpmlp import train

replace = Path.replace


def torn(self, target):
    content = self.read_bytes()
    with open(target, "wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        file.write(content[len(content) // 2 :])
    self.unlink()


def stale(self, target):
    if "checkpoint" in Path(target).name and Path(target).exists():
        self.unlink()
    else:
        replace(self, target)


def main(argv=None):
    planted = os.environ["TORTURE_PLANTED"]
    if planted == "silent":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        train.main(argv)
        return 0
    Path.replace = {"torn": torn, "stale": stale}[planted]
    return train.main(argv)
