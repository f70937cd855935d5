"""`export`: what it prints and writes, where its rows come from, and what it refuses."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import QUICK, runner
from tests.commands import run as train
from tests.test_export import answers, saved
from xpmlp import export
from xpmlp.leaves import map_leaves
from xpmlp.onnx_export import nodes
from xpmlp.training.model import Model

__all__ = ["saved"]
pytestmark = pytest.mark.usefixtures("away_without_gpu")
run = runner(export.main)


def test_the_command_exports_a_run_and_says_so(capsys, tmp_path):
    assert train(capsys, *QUICK, "--dataset", "iris", "--scale", "standard", "--out", "one")[0] == 0
    code, out, err = run(capsys, "one", "--onnx", "net.onnx")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith(" bytes, opset 13")
    assert lines[1:4] == [
        "input     x: float32 (N, 4), raw rows",
        "output    probabilities: float32 (N, 3)",
        "output    label: int64 (N)",
    ]
    assert lines[4].startswith("checked   on 40 test rows of iris with onnxruntime ")
    model = Model.load(tmp_path / "one/model.safetensors")
    rows = np.full((2, 4), 3.0, "float32")
    np.testing.assert_allclose(
        answers(str(tmp_path / "net.onnx"), rows)["probabilities"],
        model.predict_outputs(rows),
        atol=1e-6,
    )


def test_json_is_all_of_stdout(capsys, saved):
    code, out, _ = run(capsys, saved[0], "--onnx", "net.onnx", "--json", "--rows", "random")
    figures = json.loads(out)
    assert code == 0
    assert figures["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["N", 5]}]
    assert [output["name"] for output in figures["outputs"]] == ["probabilities", "label"]
    assert figures["rows_from"] == "1,000 random rows"
    assert figures["largest_difference"] <= figures["allowed_difference"] == 1e-5


def test_names_as_labels_and_float32_are_asked_for(capsys, saved, tmp_path):
    wide = replace(saved[1], params=map_leaves(np.float64, saved[1].params))
    wide.save(tmp_path / "wide.safetensors")
    options = ["--onnx", "net.onnx", "--rows", "random", "--label-names", "--float32"]
    code, out, err = run(capsys, "wide.safetensors", *options)
    assert (code, err) == (0, "")
    assert out.splitlines()[2:4] == [
        "output    probabilities: float32 (N, 3)",
        "output    label: string (N)",
    ]
    code, out, err = run(capsys, saved[0], *options, "--force")
    assert (code, out) == (2, "")
    assert err == (
        "xpmlp export: --float32: the net computes in float32 already; leave the option out\n"
    )


def test_rows_come_from_the_run_from_a_file_or_by_chance(capsys, saved, tmp_path):
    table = "".join(f"{i},{i % 7},1,2,{i * 0.5},{i % 2}\n" for i in range(30))
    (tmp_path / "table.csv").write_text(table)
    code, out, err = run(capsys, saved[0], "--onnx", "1.onnx", "--rows", "table.csv")
    assert (code, err) == (0, "")
    assert "checked   on 30 rows of table.csv" in out
    code, out, err = run(capsys, saved[0], "--onnx", "2.onnx")
    assert code == 0
    assert err.startswith("note: the rows of the run can't be had, so random ones are taken: ")
    assert "checked   on 1,000 random rows" in out
    code, _, err = run(capsys, saved[0], "--onnx", "3.onnx", "--rows", "dataset")
    assert code == 2
    assert "has no config.toml that names a data set" in err


def test_rows_of_a_run_of_counts_are_its_own(capsys, tmp_path):
    (tmp_path / "counts.csv").write_text("".join(f"{i / 9},{i % 5},{i % 4}\n" for i in range(60)))
    options = ["--dataset", "counts.csv", "--loss", "poisson", "--hidden", "4", "--epochs", "2"]
    assert train(capsys, *options, "--no-plots", "--quiet", "--out", "one")[0] == 0
    code, out, err = run(capsys, "one", "--onnx", "net.onnx", "--rows", "dataset")
    assert code == 0, err
    assert "output    values: float32 (N, 1)" in out
    assert "60 rows of counts.csv" in out


def test_a_run_of_seeds_asks_for_one(capsys):
    train(capsys, *QUICK, "--seeds", "2", "--quiet", "--out", "many")
    code, _, err = run(capsys, "many", "--onnx", "net.onnx")
    assert code == 2
    assert "many holds a net for each of 2 seeds; name one: many/seed-0, many/seed-1" in err
    assert run(capsys, "many/seed-1", "--onnx", "net.onnx")[0] == 0


def test_a_file_that_exists_is_replaced_only_by_force(capsys, saved, tmp_path):
    (tmp_path / "net.onnx").write_text("precious")
    code, _, err = run(capsys, saved[0], "--onnx", "net.onnx", "--rows", "random")
    assert code == 2
    assert "net.onnx exists already; choose another --onnx, or give --force" in err
    assert (tmp_path / "net.onnx").read_text() == "precious"
    assert run(capsys, saved[0], "--onnx", "net.onnx", "--rows", "random", "--force")[0] == 0
    assert (tmp_path / "net.onnx").read_bytes() != b"precious"


def wrong_nodes(graph, z):
    return graph.add("Neg", z)


def test_a_failed_check_leaves_everything_as_it_was(capsys, saved, tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_text("precious")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setitem(nodes.ACTIVATION_NODES, "tanh", wrong_nodes)
    for name, force in (("net.onnx", ["--force"]), ("new.onnx", [])):
        code, out, err = run(capsys, saved[0], "--onnx", name, "--rows", "random", *force)
        assert (code, out) == (1, "")
        assert err.startswith(
            "xpmlp export: onnxruntime's answers differ from the model's by up to"
        )
        assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "net.onnx").read_text() == "precious"


def test_an_interrupted_write_leaves_the_old_file(capsys, saved, tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_text("precious")
    before = sorted(tmp_path.iterdir())

    def full(path, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("pathlib.Path.replace", full)
    code, _, err = run(capsys, saved[0], "--onnx", "net.onnx", "--rows", "random", "--force")
    assert code == 1
    assert err == "xpmlp export: net.onnx: No space left on device\n"
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "net.onnx").read_text() == "precious"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_pip_line(capsys, saved, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(capsys, saved[0], "--onnx", "net.onnx")
    assert (code, out) == (2, "")
    assert f"need onnx and onnxruntime ({package} is not installed)" in err
    assert err.endswith("-m pip install onnx onnxruntime\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--onnx", "a.onnx"], "nowhere does not exist"),
        ([".", "--onnx", "a.txt"], "--onnx a.txt: the name must end in .onnx"),
        ([".", "--onnx", "no/a.onnx"], "--onnx no/a.onnx: there is no folder no"),
        ([".", "--onnx", "folder.onnx"], "--onnx folder.onnx: this is a folder"),
        (["folder.onnx", "--onnx", "a.onnx"], "folder.onnx holds no model.safetensors"),
        ([".", "--onnx", "a.onnx", "--rows", "."], "to train on a folder"),
        (["damaged.safetensors", "--onnx", "a.onnx"], "is not a whole safetensors file"),
        ([".", "--onnx", "a.onnx", "--rows", "b.csv"], "b.csv: there is no such file"),
        (
            [".", "--onnx", "a.onnx", "--rows", "two.csv"],
            "two.csv has 3 columns, the model takes 5",
        ),
        ([".", "--onnx", "a.onnx", "--input-dtype", "int8"], "argument --input-dtype: invalid ch"),
        ([".", "--onnx", ""], "argument --onnx: the path is empty"),
        (["."], "one of the arguments --onnx --training-step is required"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, saved, tmp_path, arguments, message):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "damaged.safetensors").write_text("{")
    (tmp_path / "two.csv").write_text("1,2,a\n3,4,b\n")
    before = sorted(tmp_path.iterdir())
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("xpmlp export: ")
    assert len(err.splitlines()) == 1, err
    assert sorted(tmp_path.iterdir()) == before
