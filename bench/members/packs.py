"""What is timed: many nets of one kind, each with its own weights and its own order of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bench.cases import DATA, ORDER, WEIGHTS, Case, Problem, make_problem
from bench.harness import Measurement, loss_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xpmlp.types import Params

BREAST_CANCER = 455
MAPPED = (("JAX vmap", 1.0), ("torch.func vmap", 1.0))
REPLAYED, PROCESSES = "one by one, replayed", "one by one, two processes"
OPTIMIZER_ARRAYS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}


@dataclass(frozen=True)
class Pack(Case):
    """A case of so many nets. ends: columns and classes. epochs: of a round.

    peers: what it is compared with, and how much of their time it may take at most, None where
    there is no goal. decay: of AdamW, η times which each step takes off the weights. tabpack: a
    checkout of TabPack, "" for none.
    """

    members: int = 64
    ends: tuple[int, int] = (784, 10)
    epochs: int = 1
    peers: tuple[tuple[str, float | None], ...] = ()
    decay: float = 0.01
    tabpack: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of all layers."""
        return (self.ends[0], *self.hidden, self.ends[1])

    @property
    def parameters(self) -> int:
        """Numbers that one net learns."""
        return sum((d + 1) * h for d, h in pairwise(self.sizes))

    @property
    def round_steps(self) -> int:
        """Steps of a round, each of all nets."""
        return self.epochs * self.steps

    @property
    def needed_bytes(self) -> int:
        """Bytes of weights, moments, gradients and one batch's activations of all nets."""
        copies = 2 + OPTIMIZER_ARRAYS[self.optimizer]
        numbers = copies * self.parameters + self.batch_size * sum(self.sizes)
        return self.members * numbers * np.dtype(self.dtype).itemsize


class PackProblem(Problem):
    """x (N, D), y (N,), and weights (K, ...) to begin with."""

    __slots__ = ()

    def order(self, epoch: int) -> np.ndarray:
        """Return the permutations (K, N) of an epoch, int64, one a net."""
        count = len(self.initial[0].W)
        rows = np.broadcast_to(np.arange(len(self.y)), (count, len(self.y)))
        return np.random.default_rng((ORDER, epoch)).permuted(rows, axis=1)


def table_step(*sizes: int, batch_size: int, steps: int, times: float) -> Pack:
    """Return the case of some steps of AdamW on random rows; times: TabPack's speed, the goal."""
    first, *hidden, last = sizes
    name = f"{'-'.join(map(str, sizes))}/{batch_size}"
    return Pack(
        name,
        tuple(hidden),
        batch_size,
        optimizer="adamw",
        learning_rate=0.001,
        rows=steps * batch_size,
        ends=(first, last),
        peers=(("TabPack", 1 / times),),
    )


PACKS = {
    pack.name: pack
    for pack in (
        Pack(
            "784-64-10/100",
            (64,),
            100,
            optimizer="momentum",
            learning_rate=0.01,
            peers=((REPLAYED, 0.45), (PROCESSES, 1.0), *MAPPED),
        ),
        Pack(
            "30-100-2/32",
            (100,),
            32,
            optimizer="momentum",
            learning_rate=0.01,
            rows=BREAST_CANCER,
            ends=(30, 2),
            epochs=10,
            peers=((REPLAYED, 0.1), (PROCESSES, None), *MAPPED),
        ),
        table_step(30, 64, 2, batch_size=32, steps=200, times=4),
        table_step(14, 64, 64, 2, batch_size=256, steps=100, times=3),
        table_step(14, 384, 384, 2, batch_size=256, steps=20, times=1.5),
    )
}


def make_pack_problem(pack: Pack) -> PackProblem:
    """Return the rows and the weights of a case."""
    from xpmlp.leaves import map_leaves
    from xpmlp.nn.initializers import initialize
    from xpmlp.nn.network import hidden_activations
    from xpmlp.types import Affine

    x, y, source = _rows(pack)
    activations = hidden_activations(pack.activation, len(pack.hidden))
    rng = np.random.default_rng(WEIGHTS)
    nets = [initialize(np, rng, pack.sizes, activations=activations) for _ in range(pack.members)]
    layers = zip(*nets, strict=True)
    stacked = tuple(Affine(*map(np.stack, zip(*same, strict=True))) for same in layers)
    return PackProblem(x, y, map_leaves(lambda leaf: leaf.astype(pack.dtype), stacked), source)


def _rows(pack: Pack) -> tuple[np.ndarray, np.ndarray, str]:
    if pack.ends == (784, 10):
        x, y, _, source = make_problem(pack)
        return x, y, source
    rng = np.random.default_rng(DATA)
    if pack.ends == (30, 2) and pack.rows <= BREAST_CANCER:
        from sklearn.datasets import load_breast_cancer

        x, y = load_breast_cancer(return_X_y=True)
        chosen = rng.permutation(len(y))[: pack.rows]
        x, y, source = x[chosen], y[chosen], "breast cancer"
        return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y.astype(np.int64), source
    x = rng.standard_normal((pack.rows, pack.ends[0]), dtype=np.float32)
    teacher = rng.standard_normal(pack.ends, dtype=np.float32)
    return x, np.argmax(x @ teacher, axis=1).astype(np.int64), "random rows"


def part_of(problem: PackProblem, some: slice) -> PackProblem:
    """Return the problem of some of the nets."""
    from xpmlp.leaves import map_leaves

    return problem._replace(initial=map_leaves(lambda leaf: leaf[some], problem.initial))


class PackMeasurement(Measurement):
    """The rows of one case of many nets."""

    def loss(self, weights: "Iterable[tuple[np.ndarray, np.ndarray]]") -> float:
        """Return the mean loss of all nets over the first rows."""
        layers = list(weights)
        each = range(len(layers[0][0]))
        return float(np.mean([loss_of(net_of(layers, k), self.problem, self.case) for k in each]))


def net_of(layers: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> "Params":
    """Return W and b of each layer of one net."""
    from xpmlp.types import Affine

    return tuple(Affine(W[k], b[k]) for W, b in layers)
