"""A training step as an ONNX graph: the same numbers as NumPy's, and what is refused."""

import json

import array_api_compat.numpy as xnp
import numpy as np
import pytest

from tests.commands import QUICK, runner
from tests.commands import run as train
from xpmlp import convert, export
from xpmlp.backends.registry import select_backend
from xpmlp.data.registry import load_dataset
from xpmlp.errors import InputError, RunError
from xpmlp.leaves import map_leaves
from xpmlp.nn.activations import ACTIVATIONS, Activation, relu_derivative
from xpmlp.nn.initializers import initialize
from xpmlp.nn.losses import LOSSES
from xpmlp.onnx_export.checking import open_session
from xpmlp.onnx_export.operations import NAMESPACE, OPERATIONS
from xpmlp.onnx_export.step_checking import Trial, batches_of, check_step
from xpmlp.onnx_export.step_graph import Kind, _model, net_graph, state_names, step_graph
from xpmlp.onnx_export.tracing import NotTraceable, Size, Trace
from xpmlp.optim import OPTIMIZERS
from xpmlp.training.checkpoint import Checkpoint
from xpmlp.training.config import Config
from xpmlp.training.model import Model
from xpmlp.training.step import Objective, initial_state, make_evaluation
from xpmlp.training.trainer import Trainer
from xpmlp.types import Batch, Hyper

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.usefixtures("away_without_gpu")

run = runner(export.main)
SOFTMAX = "softmax_cross_entropy"
FEATURES, OUTPUTS, ROWS = 5, 3, 40
WIDTHS = FEATURES, 8, 6, OUTPUTS
MORE = [  # beside an optimiser, a loss and activations, each once
    {"l2": True},
    {"l1": True},
    {"clip_norm": 0.05},
    {"dropout": (0.3, 0.0)},
    {"frozen": 1},
    {"l2": True, "l2_per": "row"},
    {},
    {"l2": True, "dropout": (0.2, 0.4), "clip_norm": 0.5},
]


def objectives():
    """Yield every optimiser, loss, activation and option at least once; each with a name."""
    names, losses = list(ACTIVATIONS), list(LOSSES)
    for i, optimizer in enumerate(OPTIMIZERS):
        pair = names[i % len(names)], names[(i + 4) % len(names)]
        loss = losses[i % len(losses)]
        options = tuple((name, 0.85) for name in OPTIMIZERS[optimizer].options if "beta" in name)
        objective = Objective(pair, loss, optimizer, optimizer_options=options)
        yield optimizer, objective._replace(**MORE[i])
    yield "smoothed", Objective(("silu", "gelu"), SOFTMAX, "adam", label_smoothing=0.1)


def trial_of(objective, dtype="float64", weighted=False):
    rng = np.random.default_rng(3)
    params = initialize(np, rng, WIDTHS, init="xavier_normal", bias_std=0.3)
    x = rng.standard_normal((ROWS, FEATURES))
    t = rng.integers(0, OUTPUTS, ROWS)
    if objective.loss != SOFTMAX:
        t = rng.integers(0, 2, (ROWS, OUTPUTS)).astype(float)
    weights = rng.uniform(0.5, 2.0, ROWS) if weighted else None
    numbers = map(np.float64, (0.05, 1e-2, 1e-3, 0.9))
    hyper = Hyper(*numbers, seed=np.int32(-77) if objective.dropout else None)
    return Trial(objective, params, batches_of(Batch(x, t, weights), 16), hyper).astype(dtype)


@pytest.mark.parametrize(
    ("name", "objective"), list(objectives()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_fifty_steps_are_those_of_numpy(name, objective):
    weighted = name in ("momentum", "adam")
    content = step_graph(Kind(objective, WIDTHS, "float64", weighted), {}).SerializeToString()
    check = check_step(content, trial_of(objective, weighted=weighted), "float64")
    assert check.difference < 1e-13
    content = step_graph(Kind(objective, WIDTHS, "float32", weighted), {}).SerializeToString()
    check_step(content, trial_of(objective, weighted=weighted), "float32")


@pytest.mark.thorough
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_optimizer_minimises_every_loss(optimizer, loss):
    names, first = list(ACTIVATIONS), len(optimizer) + len(loss)
    pair = names[first % len(names)], names[(first + 5) % len(names)]
    objective = Objective(pair, loss, optimizer, l2=True, dropout=(0.2, 0.2), clip_norm=1.0)
    content = step_graph(Kind(objective, WIDTHS, "float64"), {}).SerializeToString()
    assert check_step(content, trial_of(objective), "float64").difference < 1e-12


def test_widths_may_be_free():
    objective = Objective(("tanh", "relu"), SOFTMAX, "adam", l2=True, clip_norm=1.0)
    free = FEATURES, Size("H1"), Size("H2"), Size("C")
    content = step_graph(Kind(objective, free, "float64"), {}).SerializeToString()
    assert check_step(content, trial_of(objective), "float64").difference < 1e-13


def test_the_net_alone_predicts_as_numpy():
    objective = Objective(("elu", "gelu"), SOFTMAX, "sgd")
    trial = trial_of(objective)
    sizes = FEATURES, Size("H1"), Size("H2"), Size("C")
    net = open_session(net_graph(Kind(objective, sizes, "float64")).SerializeToString())
    batch = trial.batches[0]
    given = {k: v for k, v in state_names_of(trial).items() if k.startswith("params")}
    logits, _ = make_evaluation(xnp, objective, True)(trial.params, batch)
    expected = LOSSES[SOFTMAX].predict(xnp, logits)
    np.testing.assert_allclose(net({**given, "x": batch.x})["outputs"], expected, rtol=1e-13)


def state_names_of(trial):
    return state_names(initial_state(xnp, trial.objective, trial.params, np.int64(0)))


def evaluated(operation, *arrays):
    """Return what the nodes of an operation give for arrays."""
    trace = Trace("float64")
    given = {
        f"in{i}": trace.argument(f"in{i}", array.shape, str(array.dtype))
        for i, array in enumerate(arrays)
    }
    model = _model(trace, "one", given, {"out": operation(*given.values())}, {})
    return open_session(model.SerializeToString())(dict(zip(given, arrays, strict=True)))["out"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["log1p", "expm1"])
def test_what_onnx_lacks_has_all_digits(name, dtype):
    powers = 10.0 ** np.arange(-20.0, 1.0)
    x = np.concatenate([[0.0], powers, -powers[:-1], [-0.9, 3.0, 50.0]]).astype(dtype)
    found, expected = evaluated(OPERATIONS[name], x), getattr(np, name)(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(dtype).eps)
    assert evaluated(OPERATIONS["expm1"], np.array([-1e4], dtype)) == pytest.approx(-1.0)


def test_right_shifts_keep_the_sign():
    x = np.array([-(2**31), 2**31 - 1, -1, 0, 1, -12345, 12345], np.int32)
    for by in (1, 15, 16, 30):
        np.testing.assert_array_equal(evaluated(lambda a, by=by: a >> by, x), x >> by)


def test_the_graph_trains_as_the_command_does(capsys, tmp_path):
    options = ["--dataset", "moons", "--hidden", "6", "--dropout", "0.1", "--dtype", "float64"]
    options += ["--epochs", "2", "--batch-size", "100", "--no-plots", "--quiet"]
    assert train(capsys, *options, "--optimizer", "adam", "--out", "one")[0] == 0
    code, out, err = run(capsys, "one", "--training-step", "step.onnx", "--json")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["checked_on"] == "training rows of moons, 50 steps"
    assert figures["largest_difference"] < 1e-12
    about = json.loads(onnx.load("step.onnx").metadata_props[0].value)
    assert about["optimizer"] == "adam"

    config = Config.load(tmp_path / "one/config.toml")
    data = load_dataset("moons", dtype="float64")
    trainer = Trainer(config, data, select_backend("numpy", "cpu", "float64").backend)
    checkpoint = Checkpoint.load(tmp_path / "one/checkpoint.safetensors")
    step = open_session((tmp_path / "step.onnx").read_bytes())
    state, losses = state_names(trainer.state), []
    numbers = {name: np.asarray(value) for name, value in about["numbers"].items()}
    numbers["seed"] = numbers["seed"].astype(np.int32)
    rates, orders = checkpoint.rates.ravel(), orders_of(config, data)
    for rate, order in zip(rates, orders, strict=True):
        given = {
            "x": data.train.x[order],
            "t": data.train.y[order],
            "learning_rate": np.asarray(rate),
        }
        results = step({**state, **numbers, **given})
        losses.append(results["loss"])
        state = {name: results.get(f"new.{name}", old) for name, old in state.items()}
    np.testing.assert_allclose(losses, checkpoint.steps[:, :, 0].ravel(), rtol=1e-10)
    for name, array in state_names(checkpoint.state).items():
        np.testing.assert_allclose(state[name], array, rtol=1e-9, atol=1e-12)


def orders_of(config, data):
    """Yield the rows of each step of a run, as `Trainer` draws them."""
    _, order_seed, _ = np.random.SeedSequence(config.seed).spawn(3)
    generator = np.random.default_rng(order_seed)
    for _ in range(config.epochs):
        order = generator.permutation(len(data.train))
        yield from np.split(order, range(config.batch_size, len(order), config.batch_size))


def test_the_command_says_what_it_wrote(capsys):
    assert train(capsys, *QUICK, "--quiet", "--out", "one")[0] == 0
    code, out, err = run(capsys, "one", "--training-step", "step.onnx")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("file      step.onnx: ")
    assert lines[0].endswith(" bytes, opset 18")
    assert "input     params.0.W: float32 (2, 8)" in lines
    assert "input     x: float32 (N, 2)" in lines
    assert "output    new.moments.0.1.b: float32 (2)" in lines
    assert lines[-2] == "output    loss: float32 ()"
    assert lines[-1].startswith("checked   on training rows of xor, 50 steps with onnxruntime ")


def test_rows_may_stay_on_disk(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((60, 3)), y=rng.integers(0, 3, 60))
    assert runner(convert.main)(capsys, "rows.npz", "shards")[0] == 0
    options = ["--dataset", "./shards", "--hidden", "4", "--epochs", "1", "--no-plots", "--quiet"]
    assert train(capsys, *options, "--out", "one")[0] == 0
    code, out, err = run(capsys, "one", "--training-step", "step.onnx")
    assert (code, err) == (0, "")
    assert "checked   on training rows of shards, 50 steps with" in out


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_by_chance_serve_where_the_runs_own_are_gone(capsys, tmp_path, loss):
    outputs = 1 if loss == "binary_cross_entropy" else 2
    params = initialize(np, np.random.default_rng(0), (4, 5, outputs), bias_std=0.1)
    params = map_leaves(np.float32, params)
    classes = ("a", "b") if loss in (SOFTMAX, "binary_cross_entropy") else ()
    Model(params, ("tanh",), loss, class_names=classes).save(tmp_path / "model.safetensors")
    code, _, err = run(capsys, tmp_path, "--training-step", "step.onnx")
    assert code == 2
    assert "has no config.toml, which says how the net is trained" in err
    config = Config(dataset="gone.csv", hidden=(5,), activation=("tanh",), loss=loss).filled()
    (tmp_path / "config.toml").write_text(config.replace(learning_rate=0.01).to_toml())
    code, out, err = run(capsys, tmp_path, "--training-step", "step.onnx")
    assert code == 0, err
    assert err.startswith("note: the rows of the run can't be had, so random ones are taken: ")
    assert "checked   on 1,000 random rows, 50 steps with" in out
    code, _, err = run(capsys, tmp_path, "--training-step", "s.onnx", "--rows", "dataset")
    assert code == 2
    assert "gone.csv" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input-dtype", "float64"], "--input-dtype goes with --onnx"),
        (["--label-names"], "--label-names goes with --onnx"),
        (["--rows", "some.csv"], "--rows of a training step is dataset or random"),
        (["--float32"], "the net computes in float32 already"),
        (["--onnx", "net.onnx"], "not allowed with argument"),
    ],
)
def test_options_that_make_no_sense_are_refused(capsys, tmp_path, options, message):
    train(capsys, *QUICK, "--quiet", "--out", "one")
    code, out, err = run(capsys, "one", "--training-step", "step.onnx", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "step.onnx").exists()


def test_a_wrong_graph_is_not_written(capsys, tmp_path, monkeypatch):
    train(capsys, *QUICK, "--quiet", "--out", "one")
    monkeypatch.setitem(OPERATIONS, "maximum", OPERATIONS["minimum"])
    code, _, err = run(capsys, "one", "--training-step", "step.onnx")
    assert code == 1
    assert "after 50 steps onnxruntime's weights differ from NumPy's by up to" in err
    assert not (tmp_path / "step.onnx").exists()


def test_a_rate_that_diverges_is_said():
    objective = Objective(("identity", "identity"), "mean_squared_error", "sgd")
    trial = trial_of(objective)._replace(hyper=Hyper(*map(np.float64, (1e3, 0, 0, 0))))
    content = step_graph(Kind(objective, WIDTHS, "float64"), {}).SerializeToString()
    with pytest.raises(RunError, match="diverged within 50 steps of the run's learning rate"):
        check_step(content, trial, "float64")


def test_what_has_no_nodes_is_named(monkeypatch):
    odd = Activation(lambda xp, z: xp.sinh(z), relu_derivative)
    monkeypatch.setitem(ACTIVATIONS, "odd", odd)
    with pytest.raises(
        InputError, match="can't be an ONNX graph: there are no ONNX nodes for sinh"
    ):
        step_graph(Kind(Objective(("odd",), SOFTMAX, "sgd"), (2, 3, 2), "float64"), {})
    monkeypatch.setitem(ACTIVATIONS, "odd", odd._replace(function=lambda xp, z: -z if z else z))
    with pytest.raises(InputError, match="the step depends on a value"):
        step_graph(Kind(Objective(("odd",), SOFTMAX, "sgd"), (2, 3, 2), "float64"), {})
    free = 2, Size("H"), 2
    with pytest.raises(InputError, match="depends on the size H, which is left free"):
        step_graph(Kind(Objective(("relu",), SOFTMAX, "muon"), free, "float64"), {})


def test_arrays_of_a_graph_are_not_numpys():
    array = Trace("float64").argument("x", (3,), "float64")
    for wrong in (
        lambda: np.asarray(array),
        lambda: array[1:],
        lambda: NAMESPACE.stack([array], axis=1),
    ):
        with pytest.raises(NotTraceable):
            wrong()


def test_nothing_is_computed_twice():
    objective = Objective(("tanh",), SOFTMAX, "adam")
    nodes = step_graph(Kind(objective, (2, 4, 3), "float64"), {}).graph.node
    told = [(node.op_type, *node.input, str(node.attribute)) for node in nodes]
    assert len({*told}) == len(told)
