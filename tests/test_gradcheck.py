"""The gradcheck command: it finds what is right, and what is wrong."""

import pytest

from tests.conftest import load_or_skip
from tests.native import LARGE, compiled_quickly, cut, native_or_skip
from xpmlp import gradcheck
from xpmlp.nn import activations, network

JAX_LOSSES = ("softmax_cross_entropy", "mean_squared_error")


def test_gradcheck_finds_all_correct(capsys):
    assert gradcheck.main([]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 673
    assert "672 nets, 3936 arrays, 0 WRONG" in out
    assert "WRONG" not in out.rsplit("\n", 2)[0]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "options", "counts"),
    [
        ("torch", ["--activation", "relu", "gelu"], "48 nets, 288 arrays, 0 WRONG"),
        ("array-api-strict", ["--activation", "relu", "gelu"], "48 nets, 288 arrays, 0 WRONG"),
        # It compiles each net several times.
        ("jax", ["--activation", "gelu", "--loss", *JAX_LOSSES], "8 nets, 48 arrays, 0 WRONG"),
    ],
)
def test_gradcheck_on_other_libraries(name, options, counts, capsys):
    load_or_skip(name)
    assert gradcheck.main(["--backend", name, "--quiet", *options, "--depth", "2"]) == 0
    assert counts in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--loss", "huber", "--activation", "elu"], "compiled: 4 nets, 24 arrays, 0 WRONG"),
        pytest.param(
            ["--activation", "relu", "gelu", "--dropout", "0.3"],
            "compiled: 48 nets with dropout 0.3, 288 arrays, 0 WRONG",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_gradcheck_of_compiled_steps(options, count, capsys):
    native_or_skip()
    with cut(LARGE), compiled_quickly():
        assert gradcheck.main(["--compile", "always", "--depth", "2", "--quiet", *options]) == 0
    assert count in capsys.readouterr().out


def test_gradients_that_cannot_be_compiled_are_no_proof(capsys):
    case = ["--depth", "1", "--loss", "huber", "--activation", "tanh", "--compile", "always"]
    assert gradcheck.main([*case, "--backend", "array-api-strict"]) == 2
    assert "can't be compiled: backend array-api-strict has its own" in capsys.readouterr().err


def test_gradcheck_with_masks(capsys, monkeypatch):
    options = ["--activation", "tanh", "relu", "--dropout", "0.4"]
    assert gradcheck.main([*options, "--quiet"]) == 0
    assert "168 nets with dropout 0.4, 912 arrays, 0 WRONG" in capsys.readouterr().out
    propagate = network.propagate

    def forgetful(*arguments):
        logits, kept = propagate(*arguments)
        return logits, tuple(layer._replace(mask=None) for layer in kept)

    monkeypatch.setattr(network, "propagate", forgetful)
    assert gradcheck.main([*options, "--depth", "1"]) == 1
    assert "W1 WRONG  b1 WRONG  W2 CORRECT  b2 CORRECT" in capsys.readouterr().out


def test_gradcheck_finds_a_wrong_derivative(capsys, monkeypatch):
    right = activations.ACTIVATIONS["tanh"]
    wrong = right._replace(derivative=lambda xp, z, a: 1.0 + a * a)
    monkeypatch.setitem(activations.ACTIVATIONS, "tanh", wrong)
    assert gradcheck.main(["--activation", "tanh", "--depth", "1"]) == 1
    out = capsys.readouterr().out
    assert "W1 WRONG  b1 WRONG  W2 CORRECT  b2 CORRECT" in out


def test_gradcheck_refuses_bad_input(capsys):
    assert gradcheck.main(["--depth", "4"]) == 2
    assert gradcheck.main(["--seed", "-1"]) == 2
    assert gradcheck.main(["--dropout", "1"]) == 2
    assert gradcheck.main(["--loss", "hinge"]) == 2
    assert gradcheck.main(["--activation", "cos"]) == 2
    err = capsys.readouterr().err
    assert "depths are from 0 to 3" in err
    assert "dropout is 1; it must be in [0, 1)" in err
    assert "unknown loss 'hinge'" in err
    assert "unknown activation 'cos'" in err
