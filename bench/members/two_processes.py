"""A process a core, each with half of the nets, which it trains one after the other."""

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from bench.contenders.base import Contender, Unavailable, Weights
from bench.members.packs import Pack, PackProblem, part_of
from bench.members.xpmlp_rows import OneByOneNative


class TwoProcesses(Contender):
    """What one does without ensembles: share the nets among processes."""

    name, package = "one by one, two processes", "numpy"
    how = "two processes, each half of the nets one after the other, compiled as C, on one core"

    def __init__(self, case: Pack, problem: PackProblem, device: str) -> None:
        super().__init__(case, problem, device)
        middle = (case.members + 1) // 2
        self.halves = slice(None, middle), slice(middle, None)
        start = multiprocessing.get_context("spawn")
        self.ends = []
        for half in self.halves:
            mine, theirs = start.Pipe()
            arguments = theirs, case, part_of(problem, half), device
            start.Process(target=_serve, args=arguments, daemon=True).start()
            theirs.close()
            self.ends.append(mine)
        for answer in self._answers():
            if answer:
                raise Unavailable(answer)

    def epoch(self, order: np.ndarray) -> None:
        """Let both train, and wait for both."""
        for end, half in zip(self.ends, self.halves, strict=True):
            end.send(order[half])
        self._answers()

    def weights(self) -> Weights:
        """Fetch the parameters of all."""
        for end in self.ends:
            end.send(None)
        halves = self._answers()
        return [
            (np.concatenate([W for W, _ in same]), np.concatenate([b for _, b in same]))
            for same in zip(*halves, strict=True)
        ]

    def _answers(self) -> list[Any]:
        return [end.recv() for end in self.ends]


def _serve(end: Connection, case: Pack, problem: PackProblem, device: str) -> None:
    """Train one round for each order that comes, and give the weights where None does."""
    try:
        nets = OneByOneNative(case, problem, device)
    except Unavailable as error:
        end.send(str(error))
        return
    end.send("")
    while True:
        try:
            order = end.recv()
        except EOFError:
            return
        if order is None:
            end.send(nets.weights())
        else:
            nets.epoch(order)
            end.send(None)
