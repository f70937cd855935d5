"""The trainer with every option on, against a plain loop that knows none of our functions.

The loop below is written for one hidden tanh layer and softmax outputs, from the textbooks'
formulas, with PyTorch's Adam and its decoupled decay: what the trainer hands to the
mathematics, and when, is all that the two have in common.
"""

import math

import numpy as np
import pytest

from tests.problems import make_dataset
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config

EPOCHS, BATCH, HIDDEN = 3, 8, 6
RATE, MOMENTUM, L2, L1, SMOOTHING, CLIP, STD, BIAS_STD = 0.02, 0.8, 0.05, 0.01, 0.1, 0.7, 0.5, 0.3
CONFIG = Config(
    hidden=(HIDDEN,),
    activation="tanh",
    label_smoothing=SMOOTHING,
    init="normal",
    init_std=STD,
    init_bias_std=BIAS_STD,
    learning_rate=RATE,
    momentum=MOMENTUM,
    l2=L2,
    l1=L1,
    clip_norm=CLIP,
    batch_size=BATCH,
    epochs=EPOCHS,
    seed=5,
    dtype="float64",
)


def factor(schedule: str, step: int, steps: int, epoch: int) -> float:
    if schedule == "exponential":
        return 0.9**epoch
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def textbook(data, optimizer: str, schedule: str):
    """Return the weights, and for each step its rate, loss, penalty and norm of dW1."""
    weights_seed, order_seed = np.random.SeedSequence(CONFIG.seed).spawn(2)
    draw, shuffle = np.random.default_rng(weights_seed), np.random.default_rng(order_seed)
    x, y = data.train.x, data.train.y
    n, classes = len(y), len(data.class_names)
    p = {}
    for i, shape in ((1, (x.shape[1], HIDDEN)), (2, (HIDDEN, classes))):
        p[f"W{i}"] = STD * draw.standard_normal(shape)
        p[f"b{i}"] = BIAS_STD * draw.standard_normal(shape[1])
    m, v = ({name: np.zeros_like(value) for name, value in p.items()} for _ in "mv")
    coupled = 0.0 if optimizer == "adamw" else L2
    rows, step, steps = [], 0, EPOCHS * -(-n // BATCH)
    for epoch in range(EPOCHS):
        order = shuffle.permutation(n)
        for start in range(0, n, BATCH):
            batch = order[start : start + BATCH]
            h = np.tanh(x[batch] @ p["W1"] + p["b1"])
            z = h @ p["W2"] + p["b2"]
            q = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            t = np.full_like(q, SMOOTHING / classes)
            t[np.arange(len(batch)), y[batch]] += 1 - SMOOTHING
            loss = -(t * np.log(q)).sum() / len(batch)
            penalty = sum(
                0.5 * coupled * (p[w] ** 2).sum() + L1 * abs(p[w]).sum() for w in ("W1", "W2")
            )
            dz = (q - t) / len(batch)
            g = {"W2": h.T @ dz, "b2": dz.sum(axis=0)}
            dz = (dz @ p["W2"].T) * (1 - h**2)
            g |= {"W1": x[batch].T @ dz, "b1": dz.sum(axis=0)}
            for w in ("W1", "W2"):
                g[w] = g[w] + coupled * p[w] + L1 * np.sign(p[w])
            rate = RATE * factor(schedule, step, steps, epoch)
            rows.append((rate, loss, penalty, np.linalg.norm(g["W1"])))
            norm = math.sqrt(sum((value**2).sum() for value in g.values()))
            step += 1
            for name in p:
                clipped = g[name] * min(1.0, CLIP / norm)
                if optimizer == "adamw":
                    if name.startswith("W"):
                        p[name] = p[name] * (1 - rate * L2)
                    m[name] = 0.9 * m[name] + 0.1 * clipped
                    v[name] = 0.999 * v[name] + 0.001 * clipped**2
                    root = np.sqrt(v[name] / (1 - 0.999**step)) + 1e-8
                    p[name] = p[name] - rate * (m[name] / (1 - 0.9**step)) / root
                else:
                    v[name] = MOMENTUM * v[name] + clipped
                    p[name] = p[name] - rate * v[name]
    return p, np.array(rows)


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_every_option_at_once(backend, optimizer, schedule):
    data = make_dataset()
    config = CONFIG.replace(optimizer=optimizer, lr_schedule=schedule, lr_decay=0.9)
    weights, rows = textbook(data, optimizer, schedule)
    run = fit(config, data, backend=backend)
    for i, layer in enumerate(run.model.params, start=1):
        np.testing.assert_allclose(layer.W, weights[f"W{i}"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.b, weights[f"b{i}"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(run.history.learning_rates, rows[:, 0], rtol=1e-13)
    for i, name in enumerate(("loss", "penalty", "norm_dW1"), start=1):
        np.testing.assert_allclose(run.history.metric(name), rows[:, i], rtol=1e-9, err_msg=name)
    rates = [record.learning_rate for record in run.history.epochs]
    np.testing.assert_allclose(rates, rows[::4, 0], rtol=1e-13)
    norms = run.history.metric("norm_dW1")
    assert (norms > CLIP).any(), "the clip must bite somewhere"


def test_the_fallback_to_the_cpu_is_a_warning(monkeypatch):
    from xpmlp.backends import registry

    driver = registry.Driver(0, (0, 0), "no NVIDIA driver is installed")
    monkeypatch.setattr(registry, "query_driver", lambda: driver)
    with pytest.warns(RuntimeWarning, match="no CUDA: no NVIDIA driver is installed"):
        fit(CONFIG.replace(device="cuda"), make_dataset())


def test_the_config_alone_is_enough():
    run = fit(Config(dataset="xor", hidden=(8,), epochs=300, learning_rate=0.3))
    assert run.model.dataset == "xor"
    assert run.test.accuracy == 1.0


def test_the_same_bits_in_another_process():
    import subprocess
    import sys

    code = (
        "import xpmlp, zlib\n"
        "run = xpmlp.fit(xpmlp.Config(dataset='iris', hidden=(9,), epochs=5, batch_size=8))\n"
        "print(*(zlib.crc32(a.tobytes()) for layer in run.model.params for a in layer))"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in "ab"
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert len(outputs[0].stdout.split()) == 4
