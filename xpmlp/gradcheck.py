"""`python -m xpmlp.gradcheck`: prove the backward pass against central differences.

By default every activation, loss and penalty at depths 0 to 3, in float64: one line per net,
with a verdict on each parameter array.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from xpmlp.commands import Parser, guarded, run_as_program
from xpmlp.errors import InputError, unknown_name
from xpmlp.nn.activations import ACTIVATIONS
from xpmlp.nn.dropout import dropout_rates, masks
from xpmlp.nn.losses import LOSSES
from xpmlp.nn.network import hidden_activations

if TYPE_CHECKING:
    from xpmlp.backends.base import Backend
    from xpmlp.training.gradient_check import ArrayCheck

PROGRAM = "xpmlp gradcheck"
ROWS, FEATURES, OUTPUTS = 5, 4, 3
HIDDEN = (6, 5, 4)
PENALTIES = {"none": (0.0, 0.0), "l2": (0.1, 0.0), "l1": (0.0, 0.05), "l2+l1": (0.1, 0.05)}
COMPILE = ("never", "always")
EXIT_WRONG = 1
MOST_SKIPPED = 0.01


class Case(NamedTuple):
    """One net whose gradients are checked."""

    activation: str
    loss: str
    penalty: str
    depth: int


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; it needs no array library."""
    parser = Parser(prog=PROGRAM, description="Check every gradient against central differences.")
    add = parser.add_argument
    add("--activation", nargs="+", default=list(ACTIVATIONS), metavar="NAME", help="only these")
    add("--loss", nargs="+", default=list(LOSSES), metavar="NAME", help="only these")
    add("--depth", nargs="+", type=int, default=[0, 1, 2, 3], metavar="N", help="hidden layers")
    add("--dropout", type=float, default=0.0, metavar="P", help="with fixed masks of this rate [0]")
    add("--backend", default="auto", metavar="NAME", help="array library [auto]")
    add("--device", default="cpu", metavar="DEVICE", help="auto, cpu, cuda or cuda:N [cpu]")
    add("--compile", default="never", choices=COMPILE, help="gradients of compiled steps [never]")
    add("--seed", type=int, default=0, metavar="N", help="seed of nets and rows [0]")
    add("--quiet", action="store_true", help="print wrong arrays and the last line only")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0 where all is correct, 1 where an array is wrong."""
    arguments = make_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Check all cases and print the verdicts."""
    cases = list(_cases(arguments))
    from xpmlp.backends.registry import select_backend

    backend = select_backend(arguments.backend, arguments.device, "float64", fallback=False).backend
    checks: list[ArrayCheck] = []
    for case in cases:
        compiled = arguments.compile == "always"
        found = check_case(backend, case, arguments.seed, arguments.dropout, compiled)
        checks += found
        wrong = any(check.verdict == "WRONG" for check in found)
        if wrong or not arguments.quiet:
            print(_line(case, found), flush=True)
    wrong_count = sum(check.verdict == "WRONG" for check in checks)
    nets = f"{len(cases)} nets" + (
        f" with dropout {arguments.dropout:g}" if arguments.dropout else ""
    )
    skipped, entries = sum(c.skipped for c in checks), sum(c.entries for c in checks)
    how = ", compiled" * (arguments.compile == "always")
    print(
        f"{backend.library} on {backend.device}{how}: {nets}, {len(checks)} arrays, "
        f"{wrong_count} WRONG; largest error {max(c.error for c in checks):.1e}; "
        f"{skipped} of {entries} entries skipped at kinks ({skipped / entries:.2%})"
    )
    if skipped >= MOST_SKIPPED * entries:
        print(f"too many entries skipped: a proof leaves out less than {MOST_SKIPPED:.0%}")
    return EXIT_WRONG if wrong_count or skipped >= MOST_SKIPPED * entries else 0


def check_case(
    backend: "Backend", case: Case, seed: int, dropout: float = 0.0, compiled: bool = False
) -> "list[ArrayCheck]":
    """Return the verdicts on one net with random weights, biases, rows, targets and masks.

    Raises InputError where compiled gradients are asked for and there can be none.
    """
    import numpy as np

    from xpmlp.backends.base import Compilation
    from xpmlp.nn.initializers import initialize
    from xpmlp.training.gradient_check import check_gradients
    from xpmlp.types import Batch

    rng = np.random.default_rng(seed)
    sizes = (FEATURES, *HIDDEN[: case.depth], OUTPUTS)
    params = initialize(np, rng, sizes, init="xavier_normal", bias_std=0.5)
    x, y = rng.standard_normal((ROWS, FEATURES)), rng.integers(0, OUTPUTS, ROWS)
    labels = rng.integers(0, 2, (ROWS, OUTPUTS)).astype(np.float64)
    values = rng.standard_normal((ROWS, OUTPUTS))
    targets = {
        "softmax_cross_entropy": y,
        "binary_cross_entropy": labels,
        "poisson": np.floor(np.exp(values)),
    }
    l2, l1 = PENALTIES[case.penalty]
    rates = dropout_rates((dropout,), case.depth)
    return check_gradients(
        backend,
        params,
        Batch(x, targets.get(case.loss, values)),
        activations=hidden_activations(case.activation, case.depth),
        loss=case.loss,
        l2=l2,
        l1=l1,
        masks=masks(np, rates, params, x, np.asarray(0), np.asarray(rng.integers(2**31))),
        wish=Compilation() if compiled else None,
    )


def _cases(arguments: argparse.Namespace) -> Iterator[Case]:
    if any(not 0 <= depth <= len(HIDDEN) for depth in arguments.depth):
        raise InputError(f"depths are from 0 to {len(HIDDEN)} hidden layers")
    if arguments.seed < 0:
        raise InputError(f"the seed must be 0 or more, got {arguments.seed}")
    if not 0 <= arguments.dropout < 1:
        raise InputError(f"dropout is {arguments.dropout:g}; it must be in [0, 1)")
    for name in arguments.activation:
        hidden_activations(name, 1)
    for loss in arguments.loss:
        if loss not in LOSSES:
            raise unknown_name("loss", loss, LOSSES)
    for depth, loss, penalty in product(arguments.depth, arguments.loss, PENALTIES):
        for activation in arguments.activation if depth else ["identity"]:
            yield Case(activation, loss, penalty, depth)


def _line(case: Case, checks: "list[ArrayCheck]") -> str:
    verdicts = "  ".join(f"{check.name} {check.verdict}" for check in checks)
    largest = max(check.error for check in checks)
    hidden = case.activation if case.depth else "-"
    return (
        f"{case.depth} hidden  {hidden:<10}  {case.loss:<21}  {case.penalty:<5}  "
        f"{verdicts}  (largest error {largest:.0e})"
    )


if __name__ == "__main__":
    run_as_program(main)
