"""The model of the scaling: its parts by hand, and its fit of what it made itself."""

import pytest

from xpmlp.distributed.scaling import (
    SIZES,
    Device,
    Link,
    fitted,
    main,
    ring,
    step_seconds,
)


def test_a_line_is_found_from_its_points():
    found = fitted(SIZES, [2e-5 + size / 3e9 for size in SIZES])
    assert found == pytest.approx((2e-5, 3e9))


def test_a_ring_sends_each_byte_twice_but_a_share():
    assert ring(1, 10**6, Link(1e-5, 1e9)) == 0.0
    assert ring(4, 10**6, Link(1e-5, 1e9)) == pytest.approx(4e-5 + 1.5e-3)


def test_a_step_computes_its_rows_and_sums_its_gradients():
    free = Link(0.0, float("inf"))
    assert step_seconds((3, 2, 1), 10, 1, Device(1.0, 24.0), free) == 1.0 + 3 * 10 * 8 / 24
    link = Link(0.0, 1.0)  # 11 parameters of 4 bytes, each sent 2 * 1/2 times
    assert step_seconds((3, 2, 1), 0, 2, Device(0.0, 1.0), link) == 44.0


def test_predictions_are_marked_as_such(capsys):
    assert main(["--predict"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("predicted, not measured; assumed: ")
    assert [line.split(" | ")[1] for line in lines[2:10]][::7] == ["8", "1,024"]
