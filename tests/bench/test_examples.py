"""Scripts that run with both libraries: pictures and prints compared, and what can go wrong."""

import json
import os
import signal
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from bench.examples import command
from bench.examples.command import JSON, PAGE, main
from bench.examples.differences import DIFFERS, ROUNDING, SAME, differences, verdict
from bench.examples.pictures import Pictures, own_share
from bench.examples.prints import compare_prints
from bench.examples.runs import Ran, run_script
from tests.commands import runner
from xpmlp.interrupt import StopRequest

HEAD = """\
import matplotlib.pyplot as plt
import numpy as np
from sklearn.neural_network import MLPClassifier
"""
GOOD = f"""{HEAD}
x = np.random.uniform(-1, 1, (40, 2))
net = MLPClassifier((4,), max_iter=5, random_state=0, tol=0, n_iter_no_change=99)
net.fit(x, x[:, 0] > 0)
print("loss", round(net.loss_, 6), "in 0.1 s")
plt.plot(net.loss_curve_)
plt.show()
plt.plot([1, 2])
"""
OTHER = f"""{HEAD}
ours = MLPClassifier.__module__.startswith("xpmlp")
plt.imshow(np.full((2, 2), float(ours)), vmin=0, vmax=1)
print("accuracy:", 0.5 + 0.25 * ours)
"""
ENDED = Ran("", "", 1.0, "", 0, [])


@pytest.fixture(autouse=True)
def away(monkeypatch, tmp_path):
    """Work in an empty folder beside that of the scripts."""
    monkeypatch.setenv("XPMLP_DATA_DIR", str(tmp_path))
    (tmp_path / "room").mkdir()
    (tmp_path / "scripts").mkdir()
    monkeypatch.chdir(tmp_path / "room")


run = runner(main)


def compare(capsys, tmp_path, *options, **scripts):
    """Run scripts, and return the exit code, both outputs and the figures of each."""
    for name, text in scripts.items():
        (tmp_path / "scripts" / f"{name}.py").write_text(text)
    code, out, err = run(capsys, tmp_path / "scripts", "--out", "new", *options)
    figures = json.loads((tmp_path / "room" / "new" / JSON).read_text())
    return code, out, err, {script["name"]: script for script in figures["scripts"]}


def test_pictures_and_prints_are_compared(capsys, tmp_path):
    code, out, err, scripts = compare(capsys, tmp_path, good=GOOD, other=OTHER)
    assert code == 1
    assert err == "python -m bench.examples: failed or drew another picture: other\n"
    assert "good\n  - from sklearn.neural_network import MLPClassifier\n  + from xpmlp" in out
    good = scripts["good"]
    assert (good["outcome"], good["differing"], good["own_differing"]) == (SAME, [0, 0], None)
    assert (good["printed"]["numbers"], good["printed"]["equal"]) == (1, 1)
    assert good["pictures"] == ["good-1-compare.png", "good-2-compare.png"]
    written = {path.name for path in (tmp_path / "room" / "new").iterdir()}
    sides = ("compare", "scikit-learn", "xpmlp")
    stems = ("good-1", "good-2", "other-1")
    assert written == {JSON, PAGE, *(f"{stem}-{side}.png" for stem in stems for side in sides)}
    page = (tmp_path / "room" / "new" / PAGE).read_text()
    assert "| good | same | 2 | 0 | – | 1 equal |" in page
    assert "![good-1-compare](good-1-compare.png)" in page

    other = scripts["other"]
    assert (other["outcome"], other["own_differing"]) == (DIFFERS, 0)
    assert 0.2 < other["differing"][0] < 0.8
    assert other["printed"]["lines"] == [["accuracy: 0.5", "accuracy: 0.75"]]
    assert "| accuracy: 0.5 | accuracy: 0.75 |" in page


def test_the_process_of_a_script_may_die_or_take_too_long(tmp_path):
    script, stop = tmp_path / "script.py", StopRequest()
    ran = run_script("", script, tmp_path / "late", 0.01, stop)
    assert (ran.status, ran.reason) == ("failed", "stopped after 0.01 s")
    ran = run_script("import os; os._exit(3)", script, tmp_path / "died", 60, stop)
    assert (ran.status, ran.reason) == ("failed", "the process died: no message")
    stop.requested = True
    with pytest.raises(KeyboardInterrupt):
        run_script("", script, tmp_path / "stopped", 60, stop)


@pytest.mark.parametrize(("status", "expected"), [("unavailable", 0), ("failed", 1)])
def test_a_script_that_can_not_run_says_why(capsys, tmp_path, monkeypatch, status, expected):
    monkeypatch.setattr(command, "run_script", lambda *_: Ran(status, "no net", 0, "", 0, []))
    code, out, err, scripts = compare(capsys, tmp_path, bikes=GOOD)
    assert (code, scripts["bikes"]["outcome"]) == (expected, status)
    assert f"bikes: {status}: scikit-learn: no net\n" in out
    assert err.count("\n") == expected


def test_what_one_side_alone_lacks_is_a_failure(capsys, tmp_path, monkeypatch):
    def lacking(text, *_):
        return ENDED._replace(status="unavailable" if "from xpmlp" in text else "", reason="no x")

    monkeypatch.setattr(command, "run_script", lacking)
    code, out, _, _ = compare(capsys, tmp_path, good=GOOD)
    assert code == 1
    assert "good: failed: xpmlp: no x\n" in out


def test_a_figure_too_few_is_a_difference():
    theirs = ENDED._replace(pictures=[Path("1.png")])
    found = differences(theirs, ENDED, [1.0], 1.0)
    assert (found["outcome"], found["reason"]) == (DIFFERS, "0 figures, scikit-learn 1")


def test_pictures_of_another_size_or_missing_differ_everywhere(tmp_path):
    images = []
    for width in (4, 5):
        images.append(tmp_path / f"{width}.png")
        matplotlib.image.imsave(images[-1], np.zeros((4, width, 3)))
    pictures = Pictures("a", tmp_path)
    assert pictures.compare(images, images[::-1]) == [1, 1]
    assert pictures.compare(images, images[:1]) == [0, 1]
    assert (tmp_path / "a-4-compare.png").is_file()
    assert own_share(images, images) == 0
    assert own_share(images, images[:1]) is None


def test_scripts_are_chosen_by_parts_of_names(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "run_script", lambda *_: ENDED)
    _, _, _, scripts = compare(capsys, tmp_path, "--only", "oo", good=GOOD, other=OTHER)
    assert list(scripts) == ["good"]


def test_ctrl_c_keeps_what_was_compared(capsys, tmp_path, monkeypatch):
    def interrupted(text, path, folder, limit, stop, how=""):
        if path.stem == "other":
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.requested
            raise KeyboardInterrupt
        return ENDED

    monkeypatch.setattr(command, "run_script", interrupted)
    code, _, err, scripts = compare(capsys, tmp_path, good=GOOD, other=OTHER)
    assert (code, list(scripts)) == (130, ["good"])
    assert err.endswith("python -m bench.examples: interrupted; what was compared is in new\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no folder nowhere"),
        ((".",), "no script in . imports MLPClassifier or MLPRegressor"),
        (("..", "--only", "none"), "no script is named none; there are scripts/good"),
        ((".", "--limit", "0"), "--limit 0: seconds must be more than 0"),
        ((), "the following arguments are required: FOLDER"),
    ],
)
def test_bad_input_is_one_line_and_2(capsys, tmp_path, arguments, message):
    (tmp_path / "scripts" / "good.py").write_text(GOOD)
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list((tmp_path / "room").iterdir()) == []


def test_a_rounding_alone_may_move_as_much():
    assert verdict(0.0005, None) == SAME
    assert verdict(0.011, 0.01) == ROUNDING
    assert verdict(0.03, 0.01) == DIFFERS
    assert verdict(0.03, None) == DIFFERS


def test_numbers_are_compared_one_by_one_and_seconds_are_not():
    found = compare_prints("a -1.5e-3 b 2 (3.1s)\nc 4", "a -1.5e-3 b 2 (9 s)\nc 5")
    assert (found["numbers"], found["equal"], found["same_words"]) == (3, 2, True)
    assert found["largest_difference"] == pytest.approx(0.2)
    assert found["lines"] == [["c 4", "c 5"]]
    assert not compare_prints("one 1", "two 1")["same_words"]
    assert compare_prints("", "") == {
        "numbers": 0,
        "equal": 0,
        "largest_difference": 0.0,
        "same_words": True,
        "lines": [],
    }
