"""The benchmark of many nets: its problem, its rows, and a small run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.contenders.base import Unavailable
from bench.members.command import main
from bench.members.contenders import CONTENDERS
from bench.members.packs import PACKS, make_pack_problem, net_of, part_of

SMALL = "30-100-2/32"


@pytest.fixture
def pack():
    return replace(PACKS[SMALL], members=3, rows=70, epochs=2)


def test_each_net_has_weights_and_an_order_of_its_own(pack):
    problem = make_pack_problem(pack)
    order = problem.order(5)
    assert order.shape == (3, 70)
    assert np.sort(order, axis=1).tolist() == [list(range(70))] * 3
    assert (order[0] != order[1]).any()
    assert (order == problem.order(5)).all()
    assert [(W.shape, b.shape) for W, b in problem.initial] == [
        ((3, 30, 100), (3, 100)),
        ((3, 100, 2), (3, 2)),
    ]
    half = part_of(problem, slice(2, None))
    assert (half.initial[0].W[0] == net_of(problem.initial, 2)[0][0]).all()


def test_needed_bytes_by_hand():
    pack = replace(PACKS[SMALL], members=2, optimizer="adam")
    learnt = 31 * 100 + 101 * 2
    assert pack.needed_bytes == 2 * 4 * (4 * learnt + 32 * (30 + 100 + 2))


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "TabPack"])
def test_every_way_trains_the_same_nets(name, pack):
    problem = make_pack_problem(pack)
    try:
        way, known = (CONTENDERS[n](pack, problem, "cpu") for n in (name, "one by one, replayed"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    for number in range(2):
        way.epoch(problem.order(number))
        known.epoch(problem.order(number))
    for ours, theirs in zip(way.weights(), known.weights(), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_run_of_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.members.command.OWN", ("xpmlp numpy",))
    small = replace(PACKS["30-64-2/32"], members=2, rows=64)
    monkeypatch.setitem(PACKS, small.name, small)
    command = ["--only", small.name, "--rounds", "1", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    figures = json.loads((tmp_path / "out/members.json").read_text())
    ours, theirs = figures["cases"][0]["ways"]
    assert ours["status"] in ("ok", "unavailable")
    assert theirs["status"] == "unavailable"
    assert "--tabpack DIR" in theirs["reason"]
    assert "| TabPack | unavailable |" in (tmp_path / "out/members.md").read_text()
    assert main(["--only", "30-64"]) == 2
    assert "30-64-2/32" in capsys.readouterr().err
    assert main(["--tabpack", str(tmp_path)]) == 2
    assert "has no folder src" in capsys.readouterr().err
