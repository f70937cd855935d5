"""The predict command: what it says of rows, in which form, and how it goes wrong."""

import csv
import gc
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import commands
from tests.commands import runner
from tests.data.conftest import idx_bytes
from xpmlp import predict
from xpmlp.data.dataset import Scaling
from xpmlp.evaluation.predictions import write_predictions
from xpmlp.training.model import Model
from xpmlp.training.predicting import Predictions, predict_file
from xpmlp.types import Affine

BCE, MSE = "binary_cross_entropy", "mean_squared_error"
NOTE = "note: rows.csv: its last column is taken as the label and ignored\n"


def make_model(loss="softmax_cross_entropy", classes=(), outputs=3, width=4, **about):
    """Return a net with two hidden units and random weights that scales its inputs."""
    rng = np.random.default_rng(0)
    sizes = (width, 2, len(classes) or outputs)
    if loss == BCE and len(classes) == 2:
        sizes = (width, 2, 1)
    params = tuple(
        Affine(rng.standard_normal((d, h)).astype(np.float32), np.zeros(h, np.float32))
        for d, h in pairwise(sizes)
    )
    scaling = Scaling(np.arange(width) / 2, np.full(width, 3.0))
    return Model(params, ("tanh",), loss, class_names=classes, scaling=scaling, **about)


CLASSES = make_model(classes=("ant", "bee, wild", "7"), feature_names=tuple("abcd"))
ONE_NODE = make_model(BCE, ("no", "yes"))
SCORES = make_model(MSE, ("no", "yes"))
VALUE = make_model(MSE, outputs=1)
VALUES = make_model(MSE, outputs=2)
COUNT = make_model("poisson", outputs=1)
LABELS = make_model(BCE, outputs=2)
IMAGES = make_model(classes=("0", "1"), width=12, image_shape=(4, 3))
MODELS = [CLASSES, ONE_NODE, SCORES, VALUE, VALUES, COUNT, LABELS]
RAW = np.random.default_rng(1).standard_normal((7, 4)).round(3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work where a run of CLASSES lies with rows in a text file, whose last column is a label."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    CLASSES.save("run/model.safetensors")
    text = "".join(",".join([*map(repr, row), "ant"]) + "\n" for row in RAW.tolist())
    (tmp_path / "rows.csv").write_text(text)
    np.save("rows.npy", RAW)
    return tmp_path


run = runner(predict.main)


def refused(capsys, *arguments):
    """Return the one line with which the command refuses bad input."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("xpmlp predict: ")
    assert len(err.splitlines()) == 1, err
    return err.removeprefix("xpmlp predict: ").rstrip("\n")


def written(model, file_format="csv"):
    """Return what is written of RAW."""
    stream = io.StringIO()
    assert write_predictions(predict_file(model, "rows.npy"), model, file_format, stream) == 7
    return stream.getvalue()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batch_rows", [1, 3, 7, 100])
def test_predictions_are_those_of_the_model(model, batch_rows):
    parts = list(predict_file(model, "rows.npy", batch_rows=batch_rows))
    outputs = np.concatenate([part.outputs for part in parts])
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, model.predict_outputs(RAW), rtol=1e-5)
    if model.class_names:
        classes = np.concatenate([part.classes for part in parts])
        np.testing.assert_array_equal(classes, model.predict(RAW))
    else:
        assert all(part.classes is None for part in parts)


def test_one_batch_gives_the_very_bits():
    (part,) = predict_file(CLASSES, "rows.csv")
    np.testing.assert_array_equal(part.outputs, CLASSES.predict_outputs(RAW))


@pytest.mark.parametrize(
    ("model", "header"),
    [
        (CLASSES, ["row", "label", "p_ant", "p_bee, wild", "p_7"]),
        (ONE_NODE, ["row", "label", "p_no", "p_yes"]),
        (SCORES, ["row", "label", "score_no", "score_yes"]),
        (VALUE, ["row", "value"]),
        (VALUES, ["row", "value_1", "value_2"]),
        (COUNT, ["row", "value"]),
        (LABELS, ["row", "p_1", "p_2"]),
    ],
)
def test_csv(model, header):
    """Every number gives the very value of the model again, every label its class."""
    first, *rows = csv.reader(io.StringIO(written(model)))
    assert first == header
    assert [row[0] for row in rows] == list("0123456")
    (part,) = predict_file(model, "rows.npy")
    n = 2 if model.class_names else 1
    numbers = np.array([row[n:] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(numbers[:, -part.outputs.shape[1] :], part.outputs)
    if model is ONE_NODE:
        np.testing.assert_allclose(numbers.sum(axis=1), 1, rtol=1e-6)
    if model.class_names:
        assert [row[1] for row in rows] == [model.class_names[i] for i in part.classes]


@pytest.mark.parametrize("model", MODELS)
def test_json_lines_say_the_same(model):
    rows = list(csv.reader(io.StringIO(written(model))))[1:]
    records = list(map(json.loads, written(model, "jsonl").splitlines()))
    for row, record in zip(rows, records, strict=True):
        assert record.pop("row") == int(row[0])
        if not model.class_names:
            (numbers,) = record.values()
            assert list(record) == ["probabilities" if model is LABELS else "values"]
            assert numbers == list(map(float, row[1:]))
            continue
        assert record.pop("label") == row[1]
        assert list(record) == ["scores" if model is SCORES else "probabilities"]
        (numbers,) = record.values()
        assert numbers == dict(zip(model.class_names, map(float, row[2:]), strict=True))


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9
    ),
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
        min_size=2,
        unique=True,
    ),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_numbers_and_names_survive_the_writing(values, names, dtype):
    outputs = np.resize(np.array(values, dtype), (len(values), len(names)))
    model = make_model(MSE, tuple(names))
    classes = np.arange(len(values)) % len(names)
    for file_format in ("csv", "jsonl"):
        stream = io.StringIO(newline="")
        write_predictions([Predictions(outputs, classes)], model, file_format, stream)
        if file_format == "csv":
            stream.seek(0)
            found = list(csv.reader(stream))[1:]
            labels, numbers = [row[1] for row in found], [row[2:] for row in found]
        else:
            records = list(map(json.loads, stream.getvalue().splitlines()))
            labels = [record["label"] for record in records]
            numbers = [list(record["scores"].values()) for record in records]
        assert labels == [names[i] for i in classes]
        np.testing.assert_array_equal(np.array(numbers).astype(dtype), outputs)


def test_the_command_prints_predictions_and_nothing_else(capsys):
    code, out, err = run(capsys, "run", "rows.csv")
    assert code == 0
    assert out == written(CLASSES)
    assert err.startswith(f"{NOTE}7 rows in ")
    assert err.endswith(" rows/s\n")
    assert run(capsys, "run/model.safetensors", "rows.csv", "--quiet") == (0, out, NOTE)


def test_out_and_the_format_by_its_ending(capsys, folder):
    code, out, err = run(capsys, "run", "rows.npy", "--out", "p.jsonl")
    assert (code, out) == (0, "")
    assert err.endswith("rows/s, to p.jsonl\n")
    run(capsys, "run", "rows.npy", "--out", "p.csv")
    run(capsys, "run", "rows.npy", "--out", "p.jsonl.csv", "--format", "jsonl")
    assert (folder / "p.jsonl").read_text() == written(CLASSES, "jsonl")
    assert (folder / "p.csv").read_text() == written(CLASSES)
    assert (folder / "p.jsonl.csv").read_text() == written(CLASSES, "jsonl")
    assert run(capsys, "run", "rows.npy", "--format", "jsonl")[1] == written(CLASSES, "jsonl")


def test_every_kind_of_file_says_the_same(capsys, folder):
    expected = run(capsys, "run", "rows.csv")[1]
    np.savez_compressed("rows.npz", x=RAW, y=np.zeros(7))
    (folder / "rows.csv.gz").write_bytes(gzip.compress((folder / "rows.csv").read_bytes()))
    for name in ("rows.npy", "rows.npz", "rows.csv.gz"):
        assert run(capsys, "run", name, "--quiet")[1] == expected


def test_images_of_an_idx_file(capsys, folder):
    IMAGES.save("images.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
    (folder / "packed-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pixels)))
    code, out, _ = run(capsys, "images.safetensors", "t10k-images-idx3-ubyte")
    assert (code, len(out.splitlines())) == (0, 6)
    assert run(capsys, "images.safetensors", "packed-idx3-ubyte.gz")[1] == out
    np.save("pixels.npy", pixels.reshape(5, 12))
    assert run(capsys, "images.safetensors", "pixels.npy")[1] == out


def test_standard_input(capsys, folder, monkeypatch):
    with open("rows.csv") as file:
        monkeypatch.setattr(sys, "stdin", file)
        code, out, err = run(capsys, "run", "-", "--quiet")
    assert (code, out) == (0, run(capsys, "run", "rows.csv")[1])
    assert err.startswith("note: standard input: its last column")
    monkeypatch.setattr(sys, "stdin", None)
    assert refused(capsys, "run", "-") == "standard input is closed"


def test_a_run_of_the_train_command(capsys, folder):
    options = [*commands.QUICK, "--epochs", "40", "--learning-rate", "0.5", "--out", "xor"]
    assert commands.run(capsys, *options)[0] == 0
    (folder / "xor.csv").write_text("x2,x1\n0,0\n0,1\n1,0\n1,1\n")
    code, out, _ = run(capsys, "xor", "xor.csv")
    assert code == 0
    labels = [row["label"] for row in csv.DictReader(io.StringIO(out))]
    right = np.mean([a == b for a, b in zip(labels, "0110", strict=True)])
    assert right == json.loads((folder / "xor/summary.json").read_text())["test_accuracy"]


def test_the_seeds_of_a_run_are_named(capsys, folder):
    for seed in (0, 1):
        (folder / f"many/seed-{seed}").mkdir(parents=True)
        CLASSES.save(f"many/seed-{seed}/model.safetensors")
    line = refused(capsys, "many", "rows.csv")
    assert "many/seed-0, many/seed-1" in line
    assert run(capsys, "many/seed-1", "rows.csv")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "rows.csv"], "nowhere does not exist"),
        (
            ["newer.safetensors", "rows.csv"],
            "holds xpmlp-model-3, not xpmlp-model-1 or xpmlp-model-2",
        ),
        (["rows.csv", "rows.csv"], "rows.csv is not a whole safetensors file"),
        ([".", "rows.csv"], "holds no model.safetensors"),
        (["run", "none.csv"], "none.csv: there is no such file"),
        (["run", "narrow.csv"], "narrow.csv has 3 columns, the model takes 4"),
        (["run", "text.csv"], "text.csv, line 2, column 'b': expected a number, got 'two'"),
        (["run", "nan.csv"], "nan.csv, line 2, column 'a': the entry is missing"),
        (["run", "large.csv"], "large.csv, line 1: its values are too large for the model"),
        (["run", "empty.csv"], "empty.csv: holds no rows"),
        (["run", "names.csv"], "names.csv lacks 'd'; the model doesn't know 'e'"),
        (["run", "rows.csv", "--batch-rows", "0"], "a batch must have 1 row or more, got 0"),
        (["run", "rows.csv", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["run", "rows.csv", "--out", "rows.csv"], "--out rows.csv is the file to predict from"),
        (["run", "rows.csv", "--out", "no/p.csv"], "can't write no/p.csv: No such file or direc"),
        (["run", "rows.npy", "--out", "run"], "can't write run: it is not a regular file"),
        (["run"], "the following arguments are required: FILE"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, folder, arguments, message):
    good = "1,2,3,4\n"
    texts = {"narrow": "1,2,3\n", "text": f"{good}1,two,3,4\n", "nan": f"{good}nan,2,3,4\n"}
    texts |= {"large": "1e300,2,3,4\n", "empty": "", "names": f"a,b,c,e\n{good}"}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    newer = (folder / "run/model.safetensors").read_bytes().replace(b"model-1", b"model-3")
    (folder / "newer.safetensors").write_bytes(newer)
    before = sorted(folder.rglob("*"))
    assert message in refused(capsys, *arguments)
    assert sorted(folder.rglob("*")) == before


def test_rows_that_lack_in_a_single_column_are_told(capsys, folder):
    Model((Affine(np.ones((1, 1)), np.zeros(1)),), (), MSE).save("one.safetensors")
    (folder / "one.csv").write_text("0.5\n\n1.5\n\n2.5\n\n")
    code, out, err = run(capsys, "one.safetensors", "one.csv", "--quiet", "--batch-rows", "1")
    assert (code, len(out.splitlines())) == (0, 4)
    assert err.startswith("note: one.csv, line 2: an empty line is no row, there and further on; ")
    assert err.count("\n") == 1


def test_an_answer_that_overflows_is_refused(capsys, folder):
    params = (Affine(np.full((1, 1), 100, np.float32), np.zeros(1, np.float32)),)
    Model(params, (), "poisson").save("count.safetensors")
    (folder / "one.csv").write_text("0\n1\n")
    line = refused(capsys, "count.safetensors", "one.csv")
    assert line == "one.csv, line 2: its values are too large for the model"


def test_an_old_file_stays_unless_the_new_one_is_whole(capsys, folder):
    (folder / "p.csv").write_text("old")
    (folder / "late.csv").write_text("1,2,3,4\n" * 9 + "x,2,3,4\n")
    before = sorted(folder.iterdir())
    options = ["run", "late.csv", "--batch-rows", "2"]
    assert "line 10" in refused(capsys, *options, "--out", "p.csv")
    assert (folder / "p.csv").read_text() == "old"
    assert sorted(folder.iterdir()) == before
    code, out, _ = run(capsys, *options)
    assert (code, len(out.splitlines())) == (2, 9)
    assert run(capsys, "run", "rows.npy", "--out", "p.csv")[0] == 0
    assert (folder / "p.csv").read_text() == written(CLASSES)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device"), 1, "p.csv: No space left on device"),
    ],
)
def test_what_ends_the_writing_leaves_nothing(capsys, folder, monkeypatch, error, code, line):
    def failing(predictions, model, file_format, stream):
        stream.write("row,")
        raise error

    monkeypatch.setattr(predict, "write_predictions", failing)
    before = sorted(folder.iterdir())
    assert run(capsys, "run", "rows.npy", "--out", "p.csv") == (
        code,
        "",
        f"xpmlp predict: {line}\n",
    )
    assert sorted(folder.iterdir()) == before


def test_the_first_line_is_a_row_where_that_is_said(capsys, folder):
    (folder / "plain").mkdir()
    VALUE.save("plain/model.safetensors")
    (folder / "t.csv").write_text("1,2,3,4\n9,9,9,9\n")
    code, out, _ = run(capsys, "plain", "t.csv", "--header", "yes")
    assert (code, len(out.splitlines())) == (0, 2)
    code, out, _ = run(capsys, "plain", "t.csv", "--header", "no")
    assert (code, len(out.splitlines())) == (0, 3)


COMMAND = f"{sys.executable} -m xpmlp.predict run"


def shell(text, **options):
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="bash and /dev")
def test_pipes(folder):
    (folder / "many.csv").write_text("1,2,3,4\n" * 20_000)
    done = shell(f"{COMMAND} many.csv --quiet | head -1; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ('row,label,p_ant,"p_bee, wild",p_7\n0\n', "")
    done = shell(f"cut -d, -f-4 < rows.csv | {COMMAND} - --quiet")
    assert (done.stdout, done.stderr) == (written(CLASSES), "")
    done = shell(f"{COMMAND} rows.npy --quiet > /dev/full")
    assert (done.returncode, done.stderr) == (1, "xpmlp predict: No space left on device\n")


HANG = 600.0


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_ctrl_c_while_rows_come_in(folder):
    options = ["run", "-", "--batch-rows", "1", "--out", "p.csv"]
    process = subprocess.Popen(
        [sys.executable, "-m", "xpmlp.predict", *options],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("1,2,3,4\n" * 5000)
    process.stdin.flush()
    deadline = time.monotonic() + HANG
    while not list(folder.glob(".p.csv.*.partial")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (130, "xpmlp predict: interrupted\n")
    assert not list(folder.glob("*p.csv*"))
    assert not [name for name in os.listdir(folder) if "partial" in name]


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ on Windows")
def test_ctrl_c_while_texts_become_numbers():
    def interrupt(number, frame):
        raise KeyboardInterrupt

    values = np.random.default_rng(0).standard_normal((200_000, 3)).astype(np.float32)
    texts = values.astype(str)
    previous = signal.signal(signal.SIGALRM, interrupt)

    class Late(np.ndarray):
        def astype(self, dtype):
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            return texts if dtype is str else super().astype(dtype)

    gc.disable()  # what a callback of the collector raises is lost
    try:
        with pytest.raises(KeyboardInterrupt):
            write_predictions([Predictions(values.view(Late), None)], VALUES, "csv", io.StringIO())
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_help_loads_no_library():
    code = "import sys, xpmlp.predict as p; p.make_parser(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
