"""JAX over four devices of one process: the rows of a step are parted, the net is that of one."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.thorough
PROGRAM = """
import numpy as np
from tests.conftest import load_or_skip
from tests.distributed.test_equality import BASE, ROWS, trained, weighted
from tests.problems import relative_distance
net = BASE.replace(hidden=(5,), batch_size=12, dropout=(0.2,), clip_norm=0.1, record="loss")
alone = trained(net, weighted(ROWS), load_or_skip("numpy"))
several = trained(net.replace(backend="jax", compile="auto"), weighted(ROWS), load_or_skip("jax"))
assert several.backend.library.endswith(", 4 devices")
assert relative_distance(several.params, alone.params) < 1e-10
index, rates = np.zeros((3, 12), np.int64), np.zeros(3)
arguments = several.state, several.problem.train, index, rates, several.hyper
assert "all-reduce" in several.problem.step.scan.lower(*arguments).compile().as_text()
"""


def test_rows_of_a_step_are_parted_among_devices():
    pytest.importorskip("jax", reason="jax is not installed")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags.strip()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
