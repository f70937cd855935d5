"""Files of runs that an older xpmlp wrote, which knew fewer options."""

import pytest
import tomli_w

from tests.conftest import load_or_skip
from tests.problems import make_dataset
from xpmlp.runs.fitting import fit
from xpmlp.training.checkpoint import FORMAT, Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.tensors import read_tensors, write_tensors
from xpmlp.training.trainer import Trainer

NEWER = {"matmul_precision": "full", "dropout": (0.0,), "early_stopping": 0, "compile": "auto"}


def test_a_config_without_the_option_has_its_default(tmp_path):
    path = tmp_path / "config.toml"
    given = Config(epochs=7).filled().given()
    path.write_text(tomli_w.dumps({name: given[name] for name in given if name not in NEWER}))
    assert Config.load(path).filled() == Config(epochs=7, **NEWER).filled()


@pytest.mark.parametrize("precision", ["full", "tf32", "bf16"])
def test_a_checkpoint_without_the_option_goes_on_with_any(tmp_path, precision):
    path = tmp_path / "checkpoint.safetensors"
    config, data, backend = Config(hidden=(4,), epochs=2), make_dataset(), load_or_skip("numpy")
    fit(config, data, backend=backend).trainer.checkpoint().save(path)
    tensors, about = read_tensors(path, FORMAT, lambda *parts: parts)
    for name in NEWER:
        del about["config"][name]
    write_tensors(path, tensors, FORMAT, about)
    saved = Checkpoint.load(path)
    assert saved.config == config.filled().replace(compile="never")
    more = Trainer(saved.config.replace(epochs=3, matmul_precision=precision), data, backend)
    more.resume(saved)
    assert [record.epoch for record in more.epochs()] == [3]
