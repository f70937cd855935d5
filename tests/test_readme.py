"""What the README prints must run, and come to what it says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from xpmlp import inspect, predict, train

README = (Path(__file__).parent.parent / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def output(code: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    return printed.getvalue()


def test_the_table_of_the_readme_trains_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    output(SNIPPETS[0])
    assert inspect.main(["wine.csv"]) == 0
    assert "cultivar" in capsys.readouterr().out.splitlines()[-1]
    assert train.main(["--dataset", "wine.csv", "--out", "runs/wine", "--no-plots"]) == 0
    assert "label 'cultivar', the last column (classification), from 13 numbers" in (
        capsys.readouterr().out
    )
    assert predict.main(["runs/wine", "wine.csv"]) == 0
    labels = [line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]]
    right = np.array(labels) == [
        line.split(",")[-1] for line in Path("wine.csv").read_text().split()[1:]
    ]
    assert right.mean() > 0.95


def test_the_snippet_of_a_run_trains_saves_and_predicts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    accuracy, loss = output(SNIPPETS[3]).splitlines()[0].split()
    assert float(accuracy) > 0.98
    assert float(loss) < 0.1
    assert (tmp_path / "moons.safetensors").exists()


def test_the_snippet_of_seeds_trains_two_rates_over_five():
    slow_and_fast = eval(output(SNIPPETS[4]))
    assert len(slow_and_fast) == 10
    assert sum(slow_and_fast[:5]) < sum(slow_and_fast[5:])


@pytest.mark.parametrize("namespace", ["numpy", "jax.numpy", "array_api_strict"])
def test_the_first_snippet_is_the_net_worked_by_hand(namespace):
    pytest.importorskip(namespace)
    printed = output(SNIPPETS[1].replace("import numpy as xp", f"import {namespace} as xp"))
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-\d+)?", printed)]
    gradients = [0.070216, -0.003703, -0.070812, -0.140431, 0.007406, 0.141624]
    assert numbers == pytest.approx([0.236262, *gradients], abs=2e-6)


def test_the_estimator_of_the_readme_fits():
    score, iterations = output(SNIPPETS[2]).split()
    assert float(score) > 0.95
    assert int(iterations) > 1


def test_files_that_the_readme_names_exist():
    root = Path(__file__).parent.parent
    for target in re.findall(r'\]\(([^)#h][^)#]*)[^)]*\)|src="([^"]+)"', README):
        assert (root / "".join(target)).exists(), target


def test_the_seconds_of_the_readme_are_those_that_were_measured():
    from bench.report import summary
    from bench.results import load

    figures = load(Path(__file__).parent.parent / "bench/results/cpu/cases")
    assert summary(figures) in README


def test_the_verdicts_that_are_told_are_those_that_were_measured():
    root = Path(__file__).parent.parent
    measured = (root / "bench/results/reproduction/verdicts.md").read_text().splitlines()
    told = (root / "xpmlp/recipes/README.md").read_text()
    rows = [line for line in measured if line.startswith("|")]
    assert len(rows) > 100
    for line in (*rows, measured[2]):
        assert line in told
    assert measured[2] in README


def test_the_figures_of_the_estimators_page_are_those_that_were_measured():
    root = Path(__file__).parent.parent
    told = (root / "xpmlp/estimator/README.md").read_text()
    for name in ("estimators", "examples"):
        measured = (root / f"bench/results/{name}/{name}.md").read_text().splitlines()
        rows = [line for line in measured if line.startswith("|")]
        assert len(rows) > 5
        assert all(line in told for line in rows), name
