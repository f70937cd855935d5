"""What the README prints must run, and come to what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def output(code: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    return printed.getvalue()


def test_the_first_snippet_trains_saves_and_predicts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    accuracy, loss = output(SNIPPETS[0]).splitlines()[0].split()
    assert float(accuracy) > 0.98
    assert float(loss) < 0.1
    assert (tmp_path / "moons.safetensors").exists()


def test_the_second_snippet_trains_two_rates_over_five_seeds():
    slow_and_fast = eval(output(SNIPPETS[1]))
    assert len(slow_and_fast) == 10
    assert sum(slow_and_fast[:5]) < sum(slow_and_fast[5:])


@pytest.mark.parametrize("namespace", ["numpy", "jax.numpy", "array_api_strict"])
def test_the_third_snippet_is_the_net_worked_by_hand(namespace):
    pytest.importorskip(namespace)
    printed = output(SNIPPETS[2].replace("import numpy as xp", f"import {namespace} as xp"))
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-\d+)?", printed)]
    gradients = [0.070216, -0.003703, -0.070812, -0.140431, 0.007406, 0.141624]
    assert numbers == pytest.approx([0.236262, *gradients], abs=2e-6)


def test_files_that_the_readme_names_exist():
    root = Path(__file__).parent.parent
    for target in re.findall(r'\]\(([^)#h][^)#]*)[^)]*\)|src="([^"]+)"', README):
        assert (root / "".join(target)).exists(), target


def test_the_seconds_of_the_readme_are_those_that_were_measured():
    from bench.report import summary
    from bench.results import load

    figures = load(Path(__file__).parent.parent / "bench/results/cpu/cases")
    assert summary(figures) in README


def test_the_verdicts_of_the_readme_are_those_that_were_measured():
    page = (Path(__file__).parent.parent / "bench/results/reproduction/verdicts.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) > 100
    for line in (*rows, page.splitlines()[2]):
        assert line in README
