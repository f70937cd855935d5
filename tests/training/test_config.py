"""The config: what it takes, what it refuses, and that its TOML says the same."""

import copy
import inspect
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.problems import make_dataset
from xpmlp.errors import InputError
from xpmlp.runs.fitting import fit
from xpmlp.training.config import Config


@settings(deadline=None, max_examples=50)
@given(
    hidden=st.lists(st.integers(1, 500), max_size=3),
    learning_rate=st.floats(1e-9, 1e9),
    validation=st.none() | st.floats(0, 0.99) | st.integers(1, 10**6),
    early_stopping=st.none() | st.integers(1, 100),
    seed=st.integers(0, 2**63 - 1),
    dataset=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
)
def test_toml_says_the_same(tmp_path_factory, early_stopping, validation, **values):
    if early_stopping and validation == 0:
        validation = None
    config = Config(early_stopping=early_stopping, validation=validation, **values)
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert Config.load(path) == config


def test_one_word_stands_for_one_layer():
    assert Config(hidden=5, activation="tanh") == Config(hidden=(5,), activation=("tanh",))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "adm"}, r"unknown optimizer 'adm' \(did you mean 'adam'\?\); choose one of"),
        ({"loss": "hinge"}, "unknown loss 'hinge'.*softmax_cross_entropy"),
        ({"activation": ("relu", "tnh")}, "unknown activation 'tnh'.*tanh"),
        ({"activation": ("relu",) * 3}, "3 activations for 2 hidden layers"),
        ({"hidden": (), "activation": "rleu"}, "unknown activation 'rleu'"),
        ({"hidden": (10, 0)}, r"hidden is \(10, 0\); it must be widths from 1 to 10,000,000"),
        ({"hidden": "16,16"}, "hidden can't be .*; expected whole numbers; the default is"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate can't be nan"),
        ({"learning_rate": "fast"}, "'fast'; expected a finite number; the default is 0.1"),
        ({"momentum": 1.0}, r"momentum is 1.0; it must be in \[0, 1\)"),
        ({"epochs": 0}, "epochs is 0; it must be 1 or more"),
        ({"epochs": 2.5}, "epochs can't be 2.5"),
        (
            {"learning_rate": type("Test", (), {"__repr__": lambda _: "1\n2"})()},
            "be a Test; expected",
        ),
        ({"epochs": True}, "epochs can't be True"),
        ({"batch_size": -1}, "batch_size is -1; it must be 1 or more, or 0 for all rows"),
        ({"early_stopping": -1}, "early_stopping is -1; it must be 0 or more"),
        ({"early_stopping": 3, "validation": 0}, "early_stopping needs validation rows"),
        ({"label_smoothing": 0.1, "loss": "mean_squared_error"}, "label_smoothing goes with"),
        ({"seed": -1}, "seed is -1"),
        (
            {"matmul_precision": "half"},
            "unknown matmul_precision 'half'; choose one of: full, tf32",
        ),
        ({"dataset": None}, "dataset can't be None"),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        Config(**values)


def test_unknown_options_and_damaged_files(tmp_path):
    with pytest.raises(InputError, match="unknown option 'epoch'.*did you mean 'epochs'"):
        Config.from_dict({"epoch": 3})
    with pytest.raises(InputError, match="^unknown option 'lr' .did you mean 'learning_rate'"):
        Config(lr=0.1)
    with pytest.raises(InputError, match="^unknown option 'max_iter' .did you mean 'epochs'"):
        Config().replace(max_iter=5)
    with pytest.raises(AttributeError, match="no option 'alpha' .did you mean 'l2'"):
        _ = Config().alpha
    with pytest.raises(InputError, match="can't read the configuration .*missing.toml: No such"):
        Config.load(tmp_path / "missing.toml")
    damaged = tmp_path / "damaged.toml"
    damaged.write_text("epochs = = 3")
    with pytest.raises(InputError, match="damaged.toml is not a TOML file"):
        Config.load(damaged)
    damaged.write_text("epochs = -3")
    with pytest.raises(InputError, match="damaged.toml: epochs is -3"):
        Config.load(damaged)


def test_adams_numbers_reach_its_update():
    data, config = make_dataset(), Config(hidden=(4,), epochs=5, optimizer="adam", dtype="float64")
    runs = [
        fit(config.replace(**numbers), data).history.steps[-1, 0]
        for numbers in ({}, {"beta1": 0.5}, {"beta2": 0.9}, {"epsilon": 0.1})
    ]
    assert len(set(runs)) == 4
    momentum = config.replace(optimizer="momentum", learning_rate=0.01)
    assert (
        fit(momentum, data).history.steps[-1, 0]
        == fit(momentum.replace(beta1=0.5), data).history.steps[-1, 0]
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("beta1", 1.0, r"in \[0, 1\)"), ("beta2", -0.1, r"in \[0, 1\)"), ("epsilon", 0.0, "above 0")],
)
def test_adams_numbers_have_limits(option, value, expected):
    with pytest.raises(InputError, match=f"{option} is {value}; it must be {expected}"):
        Config(**{option: value})


def test_a_config_still_shows_its_options_and_can_be_copied():
    assert list(inspect.signature(Config).parameters) == Config.names()
    config = Config(epochs=3, hidden=(4,))
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
    assert not hasattr(config, "lr")


def test_what_is_shown_is_what_was_chosen():
    config = Config(hidden=(8, 4), activation="tanh", lr_schedule="constant")
    assert repr(config) == "Config(hidden=(8, 4), activation=('tanh',), lr_schedule='constant')"
    assert repr(Config()) == "Config()"
    assert eval(repr(config)) == config


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"hidden = [0x{'f' * 5000}]", "hidden can't be a number of thousands of digits"),
        (f"seeds = 0x{'f' * 5000}", "a whole number beyond 64 bits seeds can't be"),
        (f"epochs = 1{'0' * 5000}", "has a number of thousands of digits"),
        (f"epochs = 1{'0' * 30}", "epochs can't be a whole number beyond 64 bits"),
        (f"learning_rate = 1{'0' * 400}", "learning_rate can't be a whole number beyond 64 bits"),
        ("epochs = 1979-05-27", "epochs can't be datetime.date(1979, 5, 27)"),
        ("a = " + "[" * 100_000, "is not a TOML file: it is nested too deeply"),
        ("self = 1", "unknown option 'self'"),
        ('dataset = "a\\u0000.csv"', "dataset is 'a\\x00.csv', and no name holds"),
        ('epochs = "\0"', "is not a TOML file"),
    ],
)
def test_toml_that_python_would_stumble_over(tmp_path, text, reason):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Config.load(path)
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    (tmp_path / "config.toml").write_text("epochs = 3", encoding="utf-8-sig")
    assert Config.load(tmp_path / "config.toml").epochs == 3
