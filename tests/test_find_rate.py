"""`xpmlp find_rate`: what it prints, draws and refuses."""

import json

import pytest
from PIL import Image

from tests.commands import runner
from xpmlp import find_rate

run = runner(find_rate.main)
QUICK = ["--dataset", "moons", "--hidden", "4", "--backend", "numpy"]


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_findings_and_draws_where_it_is_told_to(capsys, away):
    code, out, err = run(capsys, *QUICK, "--out", "rates.png")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("learning-rate range test on moons: 2-4-2, relu")
    assert "as an epoch has but 6" in lines[1]
    assert lines[2].startswith("the loss falls")
    assert lines[-1] == "picture in rates.png"
    with Image.open("rates.png") as image:
        assert image.format == "PNG"
    assert run(capsys, *QUICK)[0] == 0
    assert [path.name for path in away.iterdir()] == ["rates.png"]


def test_json_is_one_object(capsys):
    code, out, err = run(capsys, *QUICK, "--from", "1e-4", "--to", "0.1", "--json")
    figures = json.loads(out)
    assert (code, err, figures["picture"]) == (0, "", None)
    assert figures["rates"][0] == pytest.approx(1e-4)
    assert figures["rates"][-1] == pytest.approx(0.1)
    assert len(figures["losses"]) == figures["steps"] == figures["steps_planned"] == 204


def test_the_options_of_a_file_count(capsys, away):
    (away / "net.toml").write_text('hidden = [3]\ndataset = "xor"\noptimizer = "adam"\n')
    code, out, _ = run(capsys, "--config", "net.toml", "--hidden", "5")
    assert code == 0
    assert "2-5-2" in out
    assert out.splitlines()[1].startswith("adam, ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*QUICK, "--seeds", "3"], "give --seed, not --seeds"),
        ([*QUICK, "--from", "1", "--to", "0.1"], "rates must rise from above 0, got 1 to 0.1"),
        ([*QUICK, "--from", "fast"], "argument --from: invalid float value"),
        ([*QUICK, "--out", "rates.pdf"], "--out rates.pdf must be a PNG file"),
        ([*QUICK, "--out", "nowhere/rates.png"], "in a folder that is there"),
        (["--dataset", "nothing.csv"], "nothing.csv"),
        (["--optimizer", "adan"], "unknown optimizer 'adan'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, expected):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("xpmlp find_rate: ")
    assert expected in err
    assert len(err.splitlines()) == 1
