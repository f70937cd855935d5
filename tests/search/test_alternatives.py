"""What an option of a sweep may be: read from texts and from files, and refused in one line."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thorough import examples
from xpmlp.errors import InputError
from xpmlp.search.alternatives import FIXED, Alternative, Range, is_swept, read_options
from xpmlp.training.config import Config

few = settings(max_examples=examples(200, 25), deadline=None)
numbers = st.floats(1e-30, 1e30)


def only(name, text):
    return read_options({name: text})[name]


def values(name, text):
    return [alternative.value() for alternative in only(name, text)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("learning_rate", "0.1", [0.1]),
        ("learning_rate", "1,1e-2", [1.0, 0.01]),
        ("hidden", "64,128x128", [(64,), (128, 128)]),
        ("hidden", "none,8", [(), (8,)]),
        ("hidden", ["64"], [(64,)]),
        ("hidden", ["64", "32"], [(64, 32)]),
        ("hidden", [], [()]),
        ("activation", "relu,tanhxgelu", [("relu",), ("tanh", "gelu")]),
        ("dropout", "0,0.1x0.2", [(0.0,), (0.1, 0.2)]),
        ("drop", "max,x1", [("max",), ("x1",)]),
        ("optimizer", "adam,sgd", ["adam", "sgd"]),
        ("clip_norm", "none,1", [None, 1.0]),
        ("scale", "none,standard", ["none", "standard"]),
        ("validation", "0.1,200", [0.1, 200]),
        ("seeds", "3", [(0, 1, 2)]),
        ("seeds", "0,3", [(0, 3)]),
        ("label", "one,two", ["one,two"]),
    ],
)
def test_a_text_is_read_as_what_train_takes(name, text, expected):
    found = values(name, text)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


def test_values_of_a_file_are_fixed_and_texts_there_are_alternatives():
    options = read_options({"hidden": [64, 32], "learning_rate": "1e-3..1", "l2": 0.5})
    assert {name: is_swept(found) for name, found in options.items()} == {
        "hidden": False,
        "learning_rate": True,
        "l2": False,
    }
    assert options["hidden"][0].value() == (64, 32)
    assert options["l2"][0].value() == 0.5
    assert list(options) == [n for n in Config.names() if n in options]


def test_every_option_that_is_not_fixed_takes_alternatives_of_its_kind():
    text = {int: "1,2", float: "0.25,0.5", str: "a,b"}
    for item in fields(Config):
        if item.name not in FIXED:
            choices = item.metadata.get("choices")
            given = ",".join(choices[:2]) if choices else text[item.metadata["kind"]]
            assert len(only(item.name, given)) == 2, item.name


@few
@given(st.lists(numbers, min_size=1, max_size=5, unique=True))
def test_numbers_come_back_as_they_are(found):
    assert values("learning_rate", ",".join(map(repr, found))) == found


@few
@given(numbers, numbers, st.floats(0, 1, exclude_max=True))
def test_a_range_stays_within_its_ends(one, other, share):
    low, high = sorted((one, other))
    if low == high:
        return
    (alternative,) = only("l2", f"{low!r}..{high!r}")
    assert alternative == Alternative((Range(low, high),))
    assert low <= alternative.value([share]) <= high


def test_a_range_is_even_in_powers_of_ten_and_rounded_for_whole_numbers():
    span = Range(1e-4, 1.0)
    assert [span.at(i / 4) for i in range(4)] == [1e-4, 1e-3, 1e-2, 1e-1]
    (widths,) = only("hidden", "10..1000x7")
    assert [widths.value([share]) for share in (0, 0.5, 0.999999)] == [(10, 7), (100, 7), (1000, 7)]
    assert all(type(width) is int for width in widths.value([0.3]))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("learning_rate", "1e-x", "--learning-rate '1e-x' is no number; write alternatives as"),
        ("batch_size", "1e3", "--batch-size '1e3' is no whole number"),
        ("hidden", "64,,8", "has an empty alternative"),
        ("hidden", "8x", "--hidden '' is no whole number"),
        ("hidden", "8..4", "a range goes from a number above 0 to a larger one"),
        ("l2", "0..1", "a range goes from a number above 0 to a larger one"),
        ("l2", "nan..1", "a range goes from a number above 0 to a larger one"),
        ("learning_rate", "0.1,1e-1", "--learning-rate has 1e-1 twice"),
        ("optimizer", "adam,adan", r"unknown optimizer 'adan' \(did you mean 'adam'\?\)"),
        ("seed", "1,2", "--seed '1,2': not one number; it is the same in all trials"),
        ("seeds", "few", "expected a count"),
        ("lr", "1", r"unknown option 'lr' \(did you mean 'learning_rate'\?\)"),
    ],
)
def test_what_can_not_be_read_is_told_in_a_line(name, text, expected):
    with pytest.raises(InputError, match=expected) as caught:
        read_options({name: text})
    assert "\n" not in str(caught.value)
