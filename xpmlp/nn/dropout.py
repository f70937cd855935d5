"""Dropout: factors that switch hidden units off at random in a training step.

The masks are a function of numbers alone, so that every backend, every dtype and a run that goes
on after an interrupt draw the same ones: r, a hash of the seed, the step and the row, and u, a
hash of the unit, give (r ⊕ u)(2r + 1), for each u a permutation of all r, which is compared with
a limit. All integers are of 32 bits and wrap; they are signed, as not every library shifts or
multiplies unsigned ones. Equation: DERIVATION.md, "dropout".
"""

from collections.abc import Sequence
from typing import NamedTuple

from xpmlp.errors import InputError
from xpmlp.leaves import per_leaf
from xpmlp.types import Array, Namespace, Params

SMALLEST, LARGEST = -(2**31), 2**31 - 1
GOLDEN = 0x9E3779B9 - 2**32  # 2³² / golden ratio, odd: multiples of it lie far apart
ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32))


class Threshold(NamedTuple):
    """Which draws a rate keeps, those below, and by what it multiplies: numbers, or (K,) each.

    below: an integer of 32 bits.
    """

    below: Array | int
    factor: Array | float


Rate = float | Threshold


def dropout_rates(dropout: Sequence[float], n_hidden: int) -> tuple[float, ...]:
    """Return one rate per hidden layer from one for all, or from one per layer; () for no dropout.

    Raises InputError for a wrong count.
    """
    rates = tuple(dropout) * n_hidden if len(dropout) == 1 else tuple(dropout)
    if len(rates) != n_hidden:
        raise InputError(
            f"{len(rates)} values of dropout for {n_hidden} hidden layers; "
            "give one for all, or one per layer"
        )
    return rates if any(rates) else ()


def masks(
    xp: Namespace, rates: Sequence[Rate], params: Params, x: Array, step: Array, seed: Array | None
) -> tuple[Array | None, ...]:
    """Return the mask m / (1 - p) of each hidden layer, None where p is 0; () without rates.

    rates: of each hidden layer p in [0, 1), or where members differ their thresholds. x: the batch
    (..., N, D); step: (), an integer; seed: an integer, () or (K,). A mask is (N, H), or
    (K, N, H), in the dtype of x.
    Equation: DERIVATION.md, "dropout".
    """
    if not rates:
        return ()
    device = getattr(x, "device", None)
    rows = row_hashes(xp, x.shape[-2], step, seed, device)
    made: list[Array | None] = []
    first = 0
    for rate, layer in zip(rates, params[:-1], strict=True):
        last = first + layer.b.shape[-1]
        units = mix(xp.arange(first, last, dtype=xp.int32, device=device))
        made.append(mask(xp, rows, units, rate, x.dtype) if rate else None)
        first = last
    return tuple(made)


def threshold(p: float) -> Threshold:
    """Return what a rate means."""
    return Threshold(min(round((1.0 - p) * 2**32) + SMALLEST, LARGEST), 1.0 / (1.0 - p))


def mask(xp: Namespace, rows: Array, units: Array, rate: Rate, dtype: object) -> Array:
    """Return 0 with probability p, else 1 / (1 - p), as (..., N, H).

    rows: hashes (..., N, 1); units: hashes (H,), both int32. rate: p, or its threshold.
    """
    below, factor = rate if isinstance(rate, Threshold) else threshold(rate)
    draws = (rows ^ units) * (2 * rows + 1)
    kept = xp.astype(draws < per_leaf(xp, below, draws), dtype)
    return kept * per_leaf(xp, factor, kept)


def row_hashes(xp: Namespace, n_rows: int, step: Array, seed: Array, device: object) -> Array:
    """Return a hash of seed, step and row, int32 of shape (..., N, 1) for a seed of shape (...)."""
    rows = xp.arange(n_rows, dtype=step.dtype, device=device)[:, None] * GOLDEN
    counters = xp.astype(step + rows, xp.int32)
    seeds = xp.reshape(seed, (*seed.shape, 1, 1))
    return mix(xp.astype(seeds ^ mix(counters), xp.int32))


def mix(x: Array) -> Array:
    """Return the hash "lowbias32" of int32 numbers, a permutation of them.

    By Chris Wellons, https://github.com/skeeto/hash-prospector. The bits that `>>` copies from
    the sign are cut off.
    """
    for shift, factor in ROUNDS:
        x = (x ^ logical_shift(x, shift)) * factor
    return x ^ logical_shift(x, 16)


def logical_shift(x: Array, by: int) -> Array:
    """Return x shifted to the right with zeros from the left; by: 1 to 31."""
    return (x >> by) & (2 ** (32 - by) - 1)
