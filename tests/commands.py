"""What the tests of the training command share."""

import csv
import os
import signal
import subprocess
import sys

from xpmlp import train

QUICK = ["--dataset", "xor", "--hidden", "8", "--epochs", "3", "--no-plots"]


def runner(main):
    """Return what runs a command and returns its exit code, stdout and stderr."""

    def run(capsys, *arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


run = runner(train.main)


def read_table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def interrupted_training(*options):
    """Start a training, press Ctrl-C after its first epoch; return the process and its stderr."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "xpmlp.train", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    while "epoch " not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    return process, process.communicate(timeout=600)[1]
