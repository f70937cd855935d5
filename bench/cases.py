"""What is timed: nets and batches by name, and the problem that every row of a report gets."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xpmlp.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np

    from xpmlp.types import Params

PIXELS, CLASSES = 784, 10
MNIST_ROWS = 60_000
SHARE_OF_ZEROS = 0.81
ACTIVATIONS = ("relu", "sigmoid")
RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 0.001}
WEIGHTS, ORDER, DATA = range(3)


@dataclass(frozen=True)
class Case:
    """One net, and how it is trained: softmax cross-entropy, no penalty, a constant rate.

    name: hidden widths and batch size, `300-100/128`. rows: of an epoch, the last batch takes
    what is left. optimizer: sgd, momentum (0.9) or adam (0.9, 0.999, 1e-8).
    """

    name: str
    hidden: tuple[int, ...]
    batch_size: int
    activation: str = "relu"
    optimizer: str = "sgd"
    learning_rate: float = RATES["sgd"]
    rows: int = MNIST_ROWS
    dtype: str = "float32"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers, from the pixels to the classes."""
        return (PIXELS, *self.hidden, CLASSES)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.rows // self.batch_size)

    @property
    def operations(self) -> int:
        """Additions and multiplications of an epoch's matrix products.

        Each layer has x W and xᵀ dz, each but the first dz Wᵀ as well.
        """
        layers = [d * h for d, h in pairwise(self.sizes)]
        return 2 * self.rows * (3 * sum(layers) - layers[0])

    def trained_by(self, optimizer: str) -> "Case":
        """Return the case with another optimiser, at that optimiser's usual rate."""
        return replace(self, optimizer=optimizer, learning_rate=RATES[optimizer])


class Problem(NamedTuple):
    """The rows and the initial weights, on the host; the same numbers for all.

    x: (N, 784) float32 in [0, 1]; y: (N,) int64; initial: float32, biases zero; source: where
    the rows are from.
    """

    x: "np.ndarray"
    y: "np.ndarray"
    initial: "Params"
    source: str = ""

    def order(self, epoch: int) -> "np.ndarray":
        """Return the permutation (N,) of an epoch, int64."""
        import numpy as np

        return np.random.default_rng((ORDER, epoch)).permutation(len(self.y))


def case_of(*hidden: int, batch_size: int, rows: int = MNIST_ROWS) -> Case:
    """Return the case of these hidden widths, trained by plain SGD, with its name."""
    return Case(f"{'-'.join(map(str, hidden))}/{batch_size}", hidden, batch_size, rows=rows)


CASES = {
    case.name: case
    for case in (
        case_of(64, batch_size=100),
        case_of(300, batch_size=32),
        case_of(300, batch_size=128),
        case_of(1024, batch_size=256),
        case_of(300, 100, batch_size=128),
        replace(case_of(1000, batch_size=10_000, rows=10_000), optimizer="momentum"),
        case_of(4096, 4096, batch_size=8192),
    )
}
FOR_GPUS_ALONE = ("4096-4096/8192",)
ON_A_GPU = (
    "300/128",
    "4096-4096/8192",
    "1024/256",
    "64/100",
    "300-100/128",
    "300/32",
    "1000/10000",
)


def default_cases(device: str) -> list[str]:
    """Return the names of the cases to measure where none is named; a CPU gets no huge one.

    On a GPU those that say most come first, as a run may be stopped.
    """
    if device == "cuda":
        return list(ON_A_GPU)
    return [name for name in CASES if name not in FOR_GPUS_ALONE]


def case_named(name: str) -> Case:
    """Return a case of the table. Raises InputError for an unknown name."""
    if name not in CASES:
        raise unknown_name("case", name, CASES)
    return CASES[name]


def make_problem(case: Case) -> Problem:
    """Return a case's rows, of MNIST where it is on this machine, and its initial weights.

    Nothing is downloaded: without MNIST, and for more rows than it has, the rows are random,
    with as many zeros, and labels that a net can learn.
    """
    import numpy as np

    from xpmlp.leaves import map_leaves
    from xpmlp.nn.initializers import initialize
    from xpmlp.nn.network import hidden_activations

    x, y, source = _rows(case.rows)
    weights = initialize(
        np,
        np.random.default_rng(WEIGHTS),
        case.sizes,
        activations=hidden_activations(case.activation, len(case.hidden)),
    )
    return Problem(x, y, map_leaves(lambda leaf: leaf.astype(case.dtype), weights), source)


def _rows(count: int) -> "tuple[np.ndarray, np.ndarray, str]":
    """Return x, y, and what they are."""
    import numpy as np

    from xpmlp.data.idx import read_image_pair

    for files in mnist_files():
        images, labels = read_image_pair(*files, CLASSES)
        if len(labels) >= count:
            x = images[:count].reshape(count, PIXELS) / np.float32(255)
            return x, labels[:count], "MNIST"
    return *_random_rows(count), "random data shaped as MNIST"


def mnist_files() -> Iterator[tuple[Path, Path]]:
    """Yield the training images and labels of MNIST that are on this machine.

    Without pooch, which knows where the cache is, the folder that was named is all there is.
    """
    from xpmlp.data.places import places

    with suppress(ModuleNotFoundError):
        for folder in places(None).folders():
            files = _files(folder / "mnist")
            if all(map(Path.is_file, files)):
                yield files


def _files(folder: Path) -> tuple[Path, Path]:
    """Return the paths of MNIST's training images and labels, plain or with `.gz`."""
    plain = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    images, labels = (p if p.is_file() else p.with_name(f"{p.name}.gz") for p in plain)
    return images, labels


def _random_rows(count: int) -> "tuple[np.ndarray, np.ndarray]":
    """Return sparse random rows, and labels by the largest of ten random linear functions."""
    import numpy as np

    rng = np.random.default_rng(DATA)
    x = rng.random((count, PIXELS), dtype=np.float32)
    x = np.maximum(x - SHARE_OF_ZEROS, 0) / np.float32(1 - SHARE_OF_ZEROS)
    teacher = rng.standard_normal((PIXELS, CLASSES), dtype=np.float32)
    return x, np.argmax(x @ teacher, axis=1).astype(np.int64)
