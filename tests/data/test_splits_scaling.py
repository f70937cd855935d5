import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpmlp.data.dataset import Dataset, Rows
from xpmlp.data.registry import load_dataset
from xpmlp.data.resplit import resplit
from xpmlp.data.scaling import scale_parts
from xpmlp.data.source import Source
from xpmlp.data.splits import count_rows, split
from xpmlp.errors import InputError


def numbered(n, classes=2, **options):
    """A source whose only feature is the row's number."""
    x = np.arange(n, dtype=np.float64)[:, None]
    return Source("numbered", "classification", x, np.arange(n) % classes, **options)


def ids(part):
    return part[0][:, 0].astype(int).tolist()


@settings(deadline=None, max_examples=80)
@given(
    n=st.integers(4, 90),
    classes=st.integers(2, 12),
    validation=st.one_of(st.none(), st.just(0), st.floats(0.01, 0.6), st.integers(1, 40)),
    seed=st.integers(0, 2**40),
    canonical=st.booleans(),
)
def test_parts_are_disjoint_and_cover(n, classes, validation, seed, canonical):
    test = (np.arange(n, n + 5.0)[:, None], np.zeros(5, np.int64)) if canonical else None
    source = numbered(n, classes, test=test)
    n_pool = n if canonical else n - max(1, round(0.2 * n))
    if isinstance(validation, int) and validation >= n_pool:
        with pytest.raises(InputError, match="nothing to train on"):
            split(source, validation, seed)
        return
    train, held, tested = split(source, validation, seed)
    together = ids(train) + ids(held) + ids(tested)
    assert sorted(together) == list(range(n + 5 if canonical else n))
    for part in (train, held):
        assert ids(part) == sorted(ids(part))
        np.testing.assert_array_equal(part[1], np.array(ids(part), int) % classes)
    if validation is None or 0 < validation < 1:
        assert len(held[1]) == max(1, round((validation or 0.1) * n_pool))
    else:
        assert len(held[1]) == validation


def test_same_seed_same_rows_and_other_seed_other_rows():
    def held(seed):
        return [ids(part) for part in split(numbered(100), 20, seed)]

    assert held(3) == held(3)
    assert held(3)[1] != held(4)[1]
    assert held(3)[2] != held(4)[2]


def test_test_rows_do_not_depend_on_validation():
    tests = [ids(split(numbered(100), v, 5)[2]) for v in (None, 0, 0.3, 7)]
    assert tests == [tests[0]] * 4


def test_classes_keep_their_shares():
    y = np.array([0] * 80 + [1] * 20)
    source = Source("skewed", "classification", np.zeros((100, 1)), y)
    for train, held, test in (split(source, 20, seed) for seed in range(5)):
        assert np.bincount(test[1]).tolist() == [16, 4]
        assert np.bincount(held[1]).tolist() == [16, 4]
        assert np.bincount(train[1]).tolist() == [48, 12]


def test_a_class_with_one_row_prevents_only_the_shares():
    y = np.array([0] * 19 + [1])
    source = Source("lonely", "classification", np.zeros((20, 1)), y)
    train, held, test = split(source, 2, 0)
    assert [len(part[1]) for part in (train, held, test)] == [14, 2, 4]


def test_regression_rows_are_held_out_too():
    x = np.arange(50.0)[:, None]
    parts = split(Source("line", "regression", x, 2 * x), 0.25, 1)
    assert [len(part[1]) for part in parts] == [30, 10, 10]
    for features, values in parts:
        np.testing.assert_array_equal(values, 2 * features)


def with_own_validation(**options):
    """Rows 0 to 19 to train on, 20 to 24 to validate."""
    own = np.arange(20.0, 25)[:, None], np.arange(20, 25) % 2
    return numbered(20, validation=own, **options)


def test_own_validation_rows():
    test = np.arange(25.0, 30)[:, None], np.arange(25, 30) % 2
    source = with_own_validation(test=test)
    assert [ids(part) for part in split(source, None, 0)] == [
        list(range(20)),
        list(range(20, 25)),
        list(range(25, 30)),
    ]


def test_own_validation_rows_are_training_rows_where_others_are_asked_for():
    test = np.zeros((1, 1)), np.zeros(1, np.int64)
    assert ids(split(with_own_validation(test=test), 0, 0)[0]) == list(range(25))
    train, held, _ = split(with_own_validation(test=test), 10, 0)
    assert sorted(ids(train) + ids(held)) == list(range(25))
    assert len(held[1]) == 10
    np.testing.assert_array_equal(held[1], np.array(ids(held)) % 2)


def test_own_validation_rows_are_never_test_rows():
    train, held, tested = split(with_own_validation(), None, 0)
    assert ids(held) == list(range(20, 25))
    assert sorted(ids(train) + ids(tested)) == list(range(20))
    assert ids(split(with_own_validation(), 3, 0)[2]) == ids(tested)


@pytest.mark.parametrize(("validation", "size"), [(None, 6), (0, 0), (3, 3), (0.5, 10)])
def test_tail(validation, size):
    test = (np.zeros((1, 1)), np.zeros(1, np.int64))
    train, held, _ = split(numbered(20, test=test, tail=6), validation, 0)
    assert ids(train) == list(range(20 - size))
    assert ids(held) == list(range(20 - size, 20))


def test_the_default_tail_never_takes_more_than_half():
    test = (np.zeros((1, 1)), np.zeros(1, np.int64))
    assert len(split(numbered(20, test=test, tail=11), None, 0)[1][1]) == 2


@pytest.mark.parametrize("wanted", [-1, -0.5, 1.0, 1.5, float("nan"), float("inf")])
def test_sizes_that_mean_nothing(wanted):
    with pytest.raises(InputError, match="fraction between 0 and 1 or a whole number"):
        count_rows(wanted, 10)


@pytest.mark.parametrize("wanted", [10, 11, 0.99])
def test_sizes_that_leave_nothing(wanted):
    with pytest.raises(InputError, match="nothing to train on"):
        count_rows(wanted, 10)


def numbered_dataset():
    """Rows 0 to 29 in three parts, of 12, 8 and 10 rows."""
    x, y = np.arange(30, dtype=np.float32)[:, None], np.arange(30) % 3
    first, second, third = (Rows(x[a:b], y[a:b]) for a, b in ((0, 12), (12, 20), (20, 30)))
    names = ("a", "b", "c")
    return Dataset("numbered", "classification", first, second, third, names, note="kept")


def dataset_ids(data):
    return [part.x[:, 0].astype(int).tolist() for part in (data.train, data.validation, data.test)]


@pytest.mark.parametrize(("train", "validation"), [(20, 4), (1, 0), (30, 0), (25, 5)])
def test_resplit_merges_shuffles_and_splits(train, validation):
    data = resplit(numbered_dataset(), 5, train, validation)
    found = dataset_ids(data)
    assert list(map(len, found)) == [train, validation, 30 - train - validation]
    together = [row for part in found for row in part]
    assert sorted(together) == list(range(30))
    assert together != list(range(30))
    for part in (data.train, data.validation, data.test):
        np.testing.assert_array_equal(part.y, part.x[:, 0] % 3)
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
    assert (data.note, data.class_names) == ("kept", ("a", "b", "c"))


def test_resplit_depends_on_the_seed_alone():
    def ids_of(seed, train):
        parts = dataset_ids(resplit(numbered_dataset(), seed, train, 3))
        return [row for part in parts for row in part]

    assert ids_of(1, 20) == ids_of(1, 7)
    assert ids_of(1, 20) != ids_of(2, 20)


@pytest.mark.parametrize(("train", "validation"), [(0, 5), (5, -1), (28, 3), (31, 0)])
def test_resplit_refuses_more_rows_than_there_are(train, validation):
    with pytest.raises(InputError, match=r"numbered: 30 rows can't be split"):
        resplit(numbered_dataset(), 0, train, validation)


def scaled_parts(parts, scale, full_scale, dtype):
    """Scale, and check that the returned numbers say what was done."""
    results, scaling = scale_parts(parts, scale, full_scale, dtype)
    for raw, result in zip(parts, results, strict=True):
        again = (raw.astype(np.float64) - scaling.shift) / scaling.width
        np.testing.assert_allclose(again, result, rtol=1e-6 if dtype == "float32" else 1e-13)
    return results


ROWS = [[1.0, 5.0, 0.1], [3.0, 5.0, 0.1], [8.0, 5.0, 0.1]]
OTHER = [[10.0, 6.0, 0.1]]


def test_standard_by_hand():
    """Mean 4 and variance (9 + 1 + 16) / 3 in the first column; the others are constant."""
    train, other = scaled_parts([np.array(ROWS), np.array(OTHER)], "standard", None, "float64")
    deviation = (26 / 3) ** 0.5
    expected = [-3 / deviation, -1 / deviation, 4 / deviation]
    np.testing.assert_allclose(train[:, 0], expected, rtol=1e-14)
    np.testing.assert_array_equal(train[:, 1:], 0.0)
    np.testing.assert_allclose(other, [[6 / deviation, 1.0, 0.0]], rtol=1e-14)


def test_unit_by_hand():
    train, other = scaled_parts([np.array(ROWS), np.array(OTHER)], "unit", None, "float64")
    np.testing.assert_allclose(train[:, 0], [0.0, 2 / 7, 1.0], rtol=1e-15)
    np.testing.assert_array_equal(train[:, 1:], 0.0)
    np.testing.assert_allclose(other, [[9 / 7, 1.0, 0.0]], rtol=1e-15)


def test_center_by_hand():
    train, other = scaled_parts([np.array(ROWS), np.array(OTHER)], "center", None, "float64")
    np.testing.assert_array_equal(train, [[-3, 0, 0], [-1, 0, 0], [4, 0, 0]])
    np.testing.assert_array_equal(other, [[6, 1, 0]])


@pytest.mark.parametrize("scale", ["unit", "standard"])
def test_statistics_come_from_the_training_rows_alone(scale):
    generator = np.random.default_rng(0)
    train, other = generator.normal(3, 2, (9000, 3)), generator.normal(size=(50, 3))
    calm = scaled_parts([train, other], scale, None, "float64")
    wild = scaled_parts([train, 1e6 + 1e6 * other], scale, None, "float64")
    np.testing.assert_array_equal(calm[0], wild[0])
    assert np.abs(wild[1]).max() > 1e5
    if scale == "standard":
        np.testing.assert_allclose(calm[0].mean(axis=0), 0.0, atol=1e-12)
        np.testing.assert_allclose(calm[0].std(axis=0), 1.0, rtol=1e-12)
        expected = (other - train.mean(axis=0)) / train.std(axis=0)
    else:
        assert calm[0].min(axis=0).tolist() == [0.0] * 3
        assert calm[0].max(axis=0).tolist() == [1.0] * 3
        expected = (other - train.min(axis=0)) / np.ptp(train, axis=0)
    np.testing.assert_allclose(calm[1], expected, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_pixels(dtype):
    pixels = np.arange(256, dtype=np.uint8)[None, :]
    unit = scaled_parts([pixels], "unit", 255.0, dtype)[0]
    raw = scaled_parts([pixels], "none", 255.0, dtype)[0]
    assert unit.dtype == raw.dtype == dtype
    np.testing.assert_array_equal(raw, pixels)
    expected = np.arange(256, dtype=dtype) / np.array(255, dtype=dtype)
    np.testing.assert_array_equal(unit[0], expected)


def test_pixels_in_standard_scale():
    pixels = np.random.default_rng(1).integers(0, 256, (5000, 4), dtype=np.uint8)
    scaled = scaled_parts([pixels], "standard", 255.0, "float64")[0]
    wide = pixels.astype(np.float64)
    np.testing.assert_allclose(scaled, (wide - wide.mean(0)) / wide.std(0), rtol=1e-12)


def test_inputs_are_left_alone():
    rows = np.array(ROWS)
    for scale in ("none", "unit", "standard"):
        scaled = scaled_parts([rows], scale, None, "float64")[0]
        assert not np.shares_memory(scaled, rows)
        scaled[:] = 7
    np.testing.assert_array_equal(rows, ROWS)


def test_overflow_is_refused():
    with pytest.raises(InputError, match="too large for float32"):
        scaled_parts([np.array([[1e300], [0.0]])], "none", None, "float32")


def test_a_deviation_that_overflows_is_refused(tmp_path):
    """Divided by it, every value would become 0; a square alone may overflow."""
    with pytest.raises(InputError, match="too large for float64 with scale 'standard'"):
        scaled_parts([np.array([[1.7e308], [-1.7e308]])], "standard", None, "float64")
    large = scaled_parts([np.array([[1e200], [0.0]])], "standard", None, "float64")[0]
    np.testing.assert_allclose(large, [[1.0], [-1.0]], rtol=1e-15)
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i}.5e307,{i % 2}\n" for i in range(17)))
    with pytest.raises(
        InputError, match=r"rows.csv, column 'a': features too large for float32 with scale 's"
    ):
        load_dataset(tmp_path / "rows.csv", scale="standard")
    assert load_dataset(tmp_path / "rows.csv").train.x.std() > 0.5


@pytest.mark.parametrize(("power", "dtype"), [(200, "float64"), (38, "float32")])
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_values_to_learn_that_are_too_large_are_refused(tmp_path, power, dtype, scale):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{i % 7},{i}.5e{power}\n" for i in range(40)))
    with pytest.raises(
        InputError, match=f"rows.csv, label 'b': its values are too large to be learnt in {dtype}"
    ):
        load_dataset(path, dtype=dtype, scale=scale)
    assert load_dataset(path.rename(tmp_path / "b.csv"), label="a").task == "classification"


def test_unknown_scale():
    with pytest.raises(InputError, match=r"unknown scale 'units'.*'unit'"):
        scaled_parts([np.array(ROWS)], "units", None, "float64")


def test_two_rows_are_one_to_train_on_and_one_to_test(tmp_path):
    (tmp_path / "two.csv").write_text("1,2,0\n3,4,1\n")
    data = load_dataset(str(tmp_path / "two.csv"))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [1, 0, 1]


SMALL = "differ by less than 1e-290, which counts as no difference"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", ["auto", "center", "unit", "standard", "robust", "quantile"])
def test_features_that_differ_by_nothing_to_speak_of_have_a_note(tmp_path, scale, dtype):
    x = np.random.default_rng(0).normal(size=(40, 2)) * [1e-310, 1.0]
    lines = [f"{a!r},{b!r},{'no' if b < 0 else 'yes'}" for a, b in x.tolist()]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["a,b,c", *lines]))
    table = load_dataset(path, scale=scale, dtype=dtype)
    assert f"rows.csv: the values of 'a' {SMALL}" in table.note
    with pytest.warns(UserWarning, match=SMALL):
        arrays = Dataset.from_arrays(x, (x[:, 1] > 0).astype(int), scale=scale, dtype=dtype)
    assert f"the values of 'x1' {SMALL}" in arrays.note
    for data in (table, arrays):
        assert (np.abs(data.train.x[:, 0].astype(np.float64)) < 1e-290).all()
        assert np.ptp(data.train.x[:, 1]) > 0.9
    unscaled = load_dataset(path, scale="none", dtype=dtype)
    assert SMALL not in unscaled.note


@pytest.mark.parametrize(
    ("unit", "dtype"), [(1e-40, "float32"), (1e-300, "float64"), (5e-324, "float64")]
)
def test_values_that_differ_by_too_little_to_be_learnt(unit, dtype):
    x = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(InputError, match=f": its values differ by too little .* in {dtype}; write"):
        Dataset.from_arrays(x, unit * np.arange(40.0), task="regression", dtype=dtype)


@pytest.mark.parametrize(("unit", "dtype"), [(1e-36, "float32"), (1e-280, "float64")])
def test_small_values_are_learnt_in_units_of_their_own(unit, dtype):
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40.0)
    small = Dataset.from_arrays(x, unit * y, task="regression", dtype=dtype)
    usual = Dataset.from_arrays(x, y, task="regression", dtype=dtype)
    np.testing.assert_allclose(small.target.width, unit * usual.target.width, rtol=1e-12)
