"""From the flags of a command to what is measured: cases, rows, and settings for all rows."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import product
from typing import NamedTuple

from bench import processes
from bench.cases import Case, case_named, default_cases
from bench.processes import Setup
from bench.sweep import SWEEPS
from xpmlp.errors import InputError, unknown_name
from xpmlp.processors import usable_processors

DEVICES = ("auto", "cpu", "cuda")
QUICK_CASE, QUICK_ROWS = "300/128", 12_800
AVX512_KERNELS = "SkylakeX"


class RowName(NamedTuple):
    """A contender and the device that it runs on, `cpu` or `cuda`."""

    name: str
    device: str


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """Return the cases of --case or --sweep, changed by the other flags.

    Raises InputError for unknown names.
    """
    if arguments.sweep and arguments.case:
        raise InputError("give --case or --sweep, not both")
    if arguments.sweep:
        if len(arguments.activation) > 1 or len(arguments.optimizer or ()) > 1:
            raise InputError("--sweep takes one activation and one optimizer")
        if arguments.sweep not in SWEEPS:
            raise unknown_name("sweep", arguments.sweep, SWEEPS)
        cases = list(SWEEPS[arguments.sweep].cases)
    else:
        usual = [QUICK_CASE] if arguments.quick else default_cases(arguments.device)
        names = arguments.case or usual
        cases = [case_named(name) for name in dict.fromkeys(names)]
    kinds = product(arguments.activation, arguments.optimizer or [None], cases)
    return list(dict.fromkeys(_changed(case, kind, how, arguments) for kind, how, case in kinds))


def _changed(
    case: Case, activation: str, optimizer: str | None, arguments: argparse.Namespace
) -> Case:
    if optimizer:
        case = case.trained_by(optimizer)
    if arguments.quick:
        case = replace(case, rows=min(case.rows, QUICK_ROWS))
    return replace(case, activation=activation, rows=arguments.rows or case.rows)


def chosen_setups(arguments: argparse.Namespace) -> list[Setup]:
    """Return the settings to measure with: one, or with --kernel-check two.

    Raises InputError for a bad number of threads, or where there are no other kernels.
    """
    from bench.machine import has_avx512

    most = usable_processors()
    threads = most if arguments.threads is None else arguments.threads
    if not 1 <= threads <= most:
        raise InputError(f"--threads {threads}: this process may use 1 to {most} processors")
    if not arguments.kernel_check:
        return [Setup(threads, busy=arguments.busy)]
    if not has_avx512():
        raise InputError(f"--kernel-check: {AVX512_KERNELS} kernels need a processor with AVX-512")
    return [Setup(threads, kernels, arguments.busy) for kernels in (None, AVX512_KERNELS)]


def chosen_rows(device: str, only: Sequence[str], flags: Sequence[str] = ()) -> list[RowName]:
    """Return the rows to measure, device by device, in the order of the contenders' table.

    only: parts of names; without any, all rows. flags: those given that bring rows of their
    own. Raises InputError where no row fits.
    """
    contenders = import_module(processes.TABLE).CONTENDERS
    for part in only:
        if not any(part.casefold() in name.casefold() for name in contenders):
            raise unknown_name("row", part, contenders)
    devices = [device]
    if device == "auto":
        devices = ["cpu", "cuda"] if shown_gpus() else ["cpu"]
    rows = [
        RowName(name, place)
        for place in devices
        for name, contender in contenders.items()
        if place in contender.devices
        and contender.flag in ("", *flags)
        and (not only or any(part.casefold() in name.casefold() for part in only))
    ]
    if not rows:
        raise InputError(f"none of these rows runs on {device}")
    return rows


def shown_gpus() -> int:
    """Return the number of GPUs that the driver shows."""
    from xpmlp.backends.cuda_driver import query_driver

    return query_driver().gpus
