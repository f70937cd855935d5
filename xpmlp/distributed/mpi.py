"""Ranks that MPI has started: sums and broadcasts by mpi4py, none of which waits for ever.

Where nothing comes for so many seconds a rank calls the roll: who waits as well answers at once,
and whoever does not within a few seconds is stopped, hanging or lost. The first of those that are
there names it, and the job ends. A rank that dies is named by its machine's witness.
"""

import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import numpy as np
from mpi4py import MPI

from xpmlp.distributed.ranks import table_of
from xpmlp.distributed.witness import watch
from xpmlp.errors import EXIT_RUN_FAILED

LONG = 600.0  # seconds where a rank may rightly be busy: it reads or downloads data, or draws
ROLL_CALL, NEWS = 3.0, 0.05  # seconds until whoever has not answered is missing; between looks
PASSED_ON = 0.5  # seconds in which the launcher passes on what is said before the job ends
SPINS, NAP = 200, 20e-6
CALL, HERE = 1, 2
NAME_BYTES = 64


class MpiRanks:
    """The ranks of this job.

    patience: seconds that they wait for each other in training, before the roll is called.
    """

    def __init__(self, patience: float) -> None:
        self.world = MPI.COMM_WORLD
        self.calls, self.closing = self.world.Dup(), self.world.Dup()
        self.rank, self.size = self.world.Get_rank(), self.world.Get_size()
        self.patience, self.long = patience, max(LONG, patience)
        self.sent: deque[MPI.Request] = deque(maxlen=2 * self.size)
        with self.patient():
            self.places = self._places()
            self.witnesses = table_of(self, np.array([self._start_witness()]))[:, 0]

    def all_sum(self, buffer: np.ndarray) -> None:
        """Write the sum of everybody's buffers into each."""
        self._wait(self.world.Iallreduce(MPI.IN_PLACE, buffer, MPI.SUM))

    def broadcast(self, value: Any) -> Any:
        """Return what rank 0 hands in; it may take long to come, as the others wait for it."""
        own = pickle.dumps(value) if self.rank == 0 else b""
        with self.patient():
            length = np.array([len(own)])
            self.all_sum(length)
            text = bytearray(own or int(length[0]))
            self._wait(self.world.Ibcast([text, MPI.BYTE], 0))
        return value if self.rank == 0 else pickle.loads(text)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Wait longer inside, as others may be busy there."""
        self.patience, before = self.long, self.patience
        try:
            yield
        finally:
            self.patience = before

    def end(self, code: int, last_words: str) -> None:
        """Wait until all have ended; where this rank alone has failed, say why, and end the job.

        code: with which it exits. last_words: what it had to say of that, as rank 0 alone prints.
        """
        codes = np.zeros(self.size, np.int64)
        codes[self.rank] = code
        if code:
            self._dismiss_witness()
        request = self.closing.Iallreduce(MPI.IN_PLACE, codes, MPI.SUM)
        if self._meet(request, ROLL_CALL if code else self.long):
            self._dismiss_witness()
            if code not in (0, codes[0]):
                self.say(f"rank {self.rank}{self._place(self.rank)}: {last_words}")
            MPI.Finalize()
            return
        if code == 0:
            self.give_up(["the others have not come to their end"])
        if self.rank:  # rank 0 has said it
            self.say(f"rank {self.rank}{self._place(self.rank)} failed: {last_words}")
        self.world.Abort(code)

    def _meet(self, request: MPI.Request, limit: float) -> bool:
        """Wait for the others at the end; tell whether all have come within so many seconds."""
        begun = time.monotonic()
        while not request.Test():
            if time.monotonic() - begun > limit:
                return False
            time.sleep(NEWS)
        return True

    def say(self, line: str) -> None:
        """Print a line on the stderr of the process, whichever rank it is."""
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"xpmlp: {line}\n")
            sys.__stderr__.flush()
            time.sleep(PASSED_ON)

    def give_up(self, words: list[str]) -> NoReturn:
        """End the job with a line on what went wrong."""
        self._dismiss_witness()
        self.say(
            f"{'; '.join(words)}; the job ends here. What was saved is whole: --resume goes on, "
            "with any number of processes"
        )
        self.world.Abort(EXIT_RUN_FAILED)
        raise SystemExit(EXIT_RUN_FAILED)

    def _places(self) -> list[tuple[int, str]]:
        """Return process id and host of every rank."""
        table = np.zeros((self.size, NAME_BYTES + 1), np.int64)
        name = socket.gethostname().encode()[:NAME_BYTES]
        table[self.rank, : len(name) + 1] = [os.getpid(), *name]
        self.all_sum(table)
        return [
            (int(row[0]), bytes(row[1:].astype(np.uint8)).rstrip(b"\0").decode()) for row in table
        ]

    def _start_witness(self) -> int:
        """Start it on the first rank of each machine; return its process, 0 elsewhere."""
        host = self.places[self.rank][1]
        beside = {rank: pid for rank, (pid, other) in enumerate(self.places) if other == host}
        return (watch(beside) or 0) if self.rank == min(beside) else 0

    def _dismiss_witness(self) -> None:
        """Let the witness of this machine go, as its ranks end by themselves."""
        for rank, (_, host) in enumerate(self.places):
            if self.witnesses[rank] and host == self.places[self.rank][1]:
                with suppress(ProcessLookupError):
                    os.kill(self.witnesses[rank], signal.SIGTERM)

    def _place(self, rank: int) -> str:
        pid, host = self.places[rank]
        return f" (process {pid} on {host})"

    def _wait(self, request: MPI.Request) -> None:
        begun, spins = time.monotonic(), 0
        while not request.Test():
            spins += 1
            if spins < SPINS:
                continue
            time.sleep(NAP)
            if spins % SPINS == 0:
                self._answer()
                if time.monotonic() - begun > self.patience:
                    self._call_the_roll(request)
                    begun = time.monotonic()

    def _answer(self) -> None:
        """Tell whoever calls the roll that this rank is here."""
        status = MPI.Status()
        while self.calls.Iprobe(MPI.ANY_SOURCE, CALL, status):
            self.calls.recv(source=status.Get_source(), tag=CALL)
            self._send(status.Get_source(), HERE)

    def _send(self, rank: int, tag: int) -> None:
        self.sent.append(self.calls.isend(None, rank, tag))

    def _call_the_roll(self, request: MPI.Request) -> None:
        """Find out who is missing, and end the job; return where the wait is over after all."""
        here, begun = {self.rank}, time.monotonic()
        for rank in range(self.size):
            if rank != self.rank:
                self._send(rank, CALL)
        status = MPI.Status()
        while time.monotonic() - begun < ROLL_CALL:
            if request.Test():
                return
            self._answer()
            while self.calls.Iprobe(MPI.ANY_SOURCE, HERE, status):
                self.calls.recv(source=status.Get_source(), tag=HERE)
                here.add(status.Get_source())
            time.sleep(NEWS)
        missing = sorted(set(range(self.size)) - here)
        if self.rank != min(here):
            time.sleep(ROLL_CALL)  # the first of those that are here speaks
        seconds = f"for {self.patience:.0f} s: stopped, hanging or lost"
        named = [f"rank {rank}{self._place(rank)} has not answered {seconds}" for rank in missing]
        self.give_up(named or [f"all {self.size} ranks wait for each other; is the network gone?"])
