"""A handful of each kind of case; and the campaign finds what is broken, or it proves nothing."""

import json
import subprocess
import sys

import pytest

from tests.torture import __main__ as command
from tests.torture.campaign import KINDS, in_turns, run_case
from tests.torture.library import build_library
from tests.torture.setups import NUMPY, PICTURES
from tests.torture.shop import Shop

pytestmark = [
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="processes are watched by Linux's means"
    ),
    pytest.mark.filterwarnings("ignore:.* ends within a line, as where its run was killed"),
]
QUICK = tuple(setup for setup in NUMPY if setup.name in ("replayed", "seeds", "going-on"))
FEW = {"kills": 4, "faults": 4, "memory": 1, "full": 3, "folders": 6, "stops": 3, "pairs": 4}
MORE = {"kills": 32, "faults": 32, "memory": 8, "full": 9, "folders": 12, "stops": 12}
MORE |= {"pairs": 12, "surroundings": 4}


def make_shop(folder, setups):
    library, why_not = build_library(folder)
    return Shop(folder, library, why_not, 0, setups=setups)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    made = make_shop(tmp_path_factory.mktemp("torture"), QUICK)
    yield made
    made.close()


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    made = make_shop(tmp_path_factory.mktemp("torture"), (*NUMPY, *PICTURES))
    yield made
    made.close()


def is_kept(shop, kind, number):
    outcome = run_case(shop, kind, number)
    assert not outcome.tale.broken, (outcome.tale.what, outcome.tale.broken)
    return not outcome.tale.skipped


@pytest.mark.parametrize("kind", FEW)
def test_a_few_of_each(kind, shop):
    if not any(is_kept(shop, kind, number) for number in range(FEW[kind])):
        pytest.skip("none can be tried here")


@pytest.mark.thorough
@pytest.mark.parametrize("kind", MORE)
def test_more_of_each(kind, every):
    if not any(is_kept(every, kind, number) for number in range(100, 100 + MORE[kind])):
        pytest.skip("none can be tried here")


THOROUGH = pytest.mark.thorough
PLANTED = [
    pytest.param("torn", "kills", 1005, marks=THOROUGH),
    ("stale", "kills", 1001),
    pytest.param("silent", "full", 1001, marks=THOROUGH),
]


@pytest.mark.parametrize(("planted", "kind", "first"), PLANTED)
def test_what_is_broken_is_found(planted, kind, first, shop, monkeypatch):
    monkeypatch.setattr(shop, "module", "tests.torture.planted")
    monkeypatch.setattr(shop, "environment", {"TORTURE_PLANTED": planted})
    outcomes = (run_case(shop, kind, number) for number in range(first, first + 100))
    assert any(outcome.tale.broken for outcome in outcomes)


def test_all_kinds_come_in_turns():
    counts = {"kills": 30, "faults": 10}
    cases = in_turns(counts)
    assert sorted(cases) == sorted((k, n) for k, count in counts.items() for n in range(count))
    for part in (cases[:20], cases[20:]):
        assert sum(kind == "kills" for kind, _ in part) == 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "kill"], "torture: --only kill: the kinds are kills,faults,"),
        (["--repeat", "kills"], "torture: --repeat is 'kills'; it is a kind and a number"),
        (["--backends", "numpi"], "torture: --backends numpi: "),
    ],
)
def test_what_it_can_not_do_is_told_in_a_line(arguments, said, capsys):
    assert command.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1


@pytest.mark.thorough
def test_a_campaign_ends_with_a_table_and_figures(tmp_path):
    out = tmp_path / "out.json"
    counts = ["--only", "kills,stops", "--kills", "4", "--stops", "2", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--quick", *counts, "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert KINDS["kills"].what in done.stdout
    found = json.loads(out.read_text())
    assert {kind: each["cases"] for kind, each in found["kinds"].items()} == {
        "kills": 4,
        "stops": 2,
    }
    assert found["broken"] == []
