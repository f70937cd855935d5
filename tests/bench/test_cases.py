import sys

import numpy as np
import pytest

from bench.cases import CASES, RATES, case_named, case_of, default_cases, make_problem, mnist_files
from bench.sweep import SWEEPS
from xpmlp.errors import InputError


def write_mnist(folder, rows):
    """Write the first and last bytes of an IDX pair with `rows` images, all pixels 51."""
    folder.mkdir()
    sizes = b"".join(size.to_bytes(4, "big") for size in (rows, 28, 28))
    images = bytes([0, 0, 8, 3]) + sizes + bytes([51]) * (rows * 784)
    labels = bytes([0, 0, 8, 1]) + rows.to_bytes(4, "big") + bytes(i % 10 for i in range(rows))
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)


def test_the_table_names_its_cases():
    small = ["64/100", "300/32", "300/128", "1024/256", "300-100/128", "1000/10000"]
    assert list(CASES) == [*small, "4096-4096/8192"]
    assert sorted(default_cases("cuda")) == sorted(CASES)
    assert default_cases("cuda")[:2] == ["300/128", "4096-4096/8192"]
    assert default_cases("cpu") == default_cases("auto") == small
    large = CASES["4096-4096/8192"]
    assert (large.sizes, large.rows, large.steps) == ((784, 4096, 4096, 10), 60_000, 8)
    for name, case in CASES.items():
        assert case.name == name
        assert case.optimizer == ("momentum" if name == "1000/10000" else "sgd")
    assert CASES["300-100/128"].sizes == (784, 300, 100, 10)
    with pytest.raises(InputError, match=r"unknown case '300/129' \(did you mean '300/128'"):
        case_named("300/129")


def test_the_full_batch_is_one_step():
    assert CASES["1000/10000"].steps == 1
    assert CASES["300/128"].steps == 469
    assert case_of(5, batch_size=32, rows=64).steps == 2


def test_operations_count_each_product_of_an_epoch():
    # 7 rows: forward 784·5 + 5·10, gradients as many, and dz Wᵀ for the second layer, 5·10.
    assert case_of(5, batch_size=2, rows=7).operations == 2 * 7 * (2 * (784 * 5 + 5 * 10) + 5 * 10)


def test_another_optimiser_comes_with_its_rate():
    for name, rate in RATES.items():
        case = CASES["300/128"].trained_by(name)
        assert (case.optimizer, case.learning_rate) == (name, rate)


def test_a_problem_is_the_same_each_time(problem, case):
    again = make_problem(case)
    np.testing.assert_array_equal(problem.x, again.x)
    np.testing.assert_array_equal(problem.y, again.y)
    for layer, same in zip(problem.initial, again.initial, strict=True):
        np.testing.assert_array_equal(layer.W, same.W)
        assert layer.W.dtype == np.float32
        assert not np.any(layer.b)
    assert [layer.W.shape for layer in problem.initial] == [(784, 5), (5, 3), (3, 10)]


def test_orders_are_permutations_that_differ(problem):
    first, second = problem.order(0), problem.order(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, problem.order(0))


def test_without_mnist_the_rows_are_random_and_as_sparse(fakes):
    problem = make_problem(case_of(2, batch_size=10, rows=500))
    assert problem.source == "random data shaped as MNIST"
    assert (problem.x.shape, problem.x.dtype) == ((500, 784), np.float32)
    assert problem.x.flags.c_contiguous
    assert problem.x.min() == 0
    assert 0.9 < problem.x.max() < 1
    assert abs(np.mean(problem.x == 0) - 0.81) < 0.01
    assert problem.y.dtype == np.int64
    assert set(problem.y) == set(range(10))


@pytest.mark.parametrize(("asked", "source"), [(12, "MNIST"), (13, "random data shaped as MNIST")])
def test_mnist_is_taken_where_it_has_the_rows(fakes, tmp_path, asked, source):
    write_mnist(tmp_path / "mnist", 12)
    problem = make_problem(case_of(2, batch_size=5, rows=asked))
    assert problem.source == source
    if source == "MNIST":
        np.testing.assert_array_equal(problem.x, np.full((12, 784), np.float32(0.2)))
        assert problem.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_without_pooch_the_folder_that_was_named_is_searched(fakes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert list(mnist_files()) == []
    write_mnist(tmp_path / "mnist", 12)
    ((images, labels),) = mnist_files()
    assert (images.parent, labels.parent) == (tmp_path / "mnist", tmp_path / "mnist")


def test_sweeps_change_one_thing_and_find_it_again():
    for name, sweep in SWEEPS.items():
        places = [sweep.place(vars(case)) for case in sweep.cases]
        assert places == sorted(set(places))
        kinds = {
            "width": lambda case: (len(case.hidden), case.batch_size, case.rows),
            "depth": lambda case: (set(case.hidden), case.batch_size, case.rows),
            "batch": lambda case: (case.hidden, case.rows),
            "rows": lambda case: (case.hidden, case.batch_size),
        }
        fixed = [kinds[name](case) for case in sweep.cases]
        assert all(other == fixed[0] for other in fixed)
