"""The tables of a run: what is written is read back number for number, damage is refused."""

import numpy as np
import pytest

from xpmlp.errors import InputError
from xpmlp.training.history import EpochRecord, History

NAMES = ("loss", "norm_dW1")


def make_history(steps: tuple[int, ...] = (3, 3), validation: float | None = 1 / 3) -> History:
    rng, history = np.random.default_rng(0), History(NAMES)
    for epoch, count in enumerate(steps, start=1):
        record = EpochRecord(epoch, 0.1, 1e-17 * epoch, None, validation, 2 / 3, 1e-5, 1e300)
        history.append(record, rng.standard_normal((count, 2)), 0.1 * rng.random(count))
    return history


def assert_equal(read: History, written: History) -> None:
    assert read.metric_names == written.metric_names
    assert read.epochs == written.epochs
    assert [type(v) for r in read.epochs for v in vars(r).values()] == [
        type(v) for r in written.epochs for v in vars(r).values()
    ]
    assert len(read.step_parts) == len(written.step_parts)
    for one, other in zip(read.step_parts, written.step_parts, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for one, other in zip(read.rate_parts, written.rate_parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("steps", [(), (1,), (3, 3), (2, 1, 4)], ids=str)
@pytest.mark.parametrize("validation", [None, 0.1 + 0.2], ids=["alone", "validated"])
def test_what_is_written_is_read(steps, validation, tmp_path):
    history = make_history(steps, validation)
    history.write(tmp_path)
    assert_equal(History.read(tmp_path), history)


def test_missing_tables_are_empty(tmp_path):
    assert_equal(History.read(tmp_path), History(()))


def test_epochs_without_the_table_of_steps(tmp_path):
    history = make_history()
    history.write(tmp_path)
    (tmp_path / "steps.csv").unlink()
    read = History.read(tmp_path)
    assert read.epochs == history.epochs
    assert read.steps.shape == (0, 0)
    assert len(read.step_parts) == 2


def edited(name, line, change):
    """Return what changes one line, counted from 1, of a table."""

    def edit(folder):
        lines = (folder / name).read_text().splitlines(keepends=True)
        lines[line - 1] = change(lines[line - 1])
        (folder / name).write_text("".join(lines))

    return edit


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (edited("history.csv", 1, lambda s: s.replace("seconds", "hours")), "history.csv, line 1"),
        (edited("history.csv", 2, lambda s: ""), "history.csv, line 2: expected epoch 1, got '2'"),
        (edited("history.csv", 3, lambda s: "2,1\n"), "history.csv, line 3: expected 8 columns"),
        (edited("history.csv", 3, lambda s: s.replace("0.1", "x")), "history.csv, line 3: could"),
        (edited("history.csv", 3, lambda s: s.replace("0.1", "")), "history.csv, line 3: could"),
        (edited("steps.csv", 1, lambda s: ""), "steps.csv, line 1: expected the columns step"),
        (edited("steps.csv", 1, lambda s: "step,epoch,learning_rate\n"), "1: expected metrics"),
        (edited("steps.csv", 3, lambda s: ""), "steps.csv, line 3: expected step and epoch 2, 1"),
        (edited("steps.csv", 2, lambda s: "1,0" + s[3:]), "line 2: expected step and epoch 1, 1"),
        (
            edited("steps.csv", 7, lambda s: f"6,3{s[3:]}7,4{s[3:]}"),
            "has 4 epochs and history.csv 2",
        ),
        (edited("steps.csv", 7, lambda s: "6,2\n"), "steps.csv, line 7: expected 5 columns, got 2"),
        (lambda folder: (folder / "history.csv").unlink(), "has 2 epochs and history.csv 0"),
        (lambda folder: (folder / "history.csv").write_text(""), "history.csv, line 1: expected"),
        (lambda folder: (folder / "history.csv").write_bytes(b"\xff"), "history.csv can't be read"),
    ],
)
def test_damage_is_refused_in_one_line(damage, says, tmp_path):
    make_history().write(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError) as caught:
        History.read(tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
