"""Ranks as threads of one process: a communicator whose sums meet at a barrier."""

import threading
from concurrent.futures import ThreadPoolExecutor

SECONDS = 60


class Crew:
    """What the threads share."""

    def __init__(self, size):
        self.size, self.barrier = size, threading.Barrier(size)
        self.buffers, self.value = [None] * size, None

    def run(self, task):
        """Return what task(rank) returns in each thread; the first failure ends the others."""

        def guarded(rank):
            try:
                return task(ThreadRank(self, rank))
            except BaseException:
                self.barrier.abort()
                raise

        with ThreadPoolExecutor(self.size) as pool:
            futures = [pool.submit(guarded, rank) for rank in range(self.size)]
            errors = [future.exception() for future in futures]
        own = [error for error in errors if not isinstance(error, threading.BrokenBarrierError)]
        for error in filter(None, own):
            raise error
        return [future.result() for future in futures]


class ThreadRank:
    def __init__(self, crew, rank):
        self.crew, self.rank, self.size, self.sums = crew, rank, crew.size, 0

    def meet(self):
        self.crew.barrier.wait(SECONDS)

    def all_sum(self, buffer):
        self.sums += 1
        self.crew.buffers[self.rank] = buffer.copy()
        self.meet()
        buffer[...] = sum(self.crew.buffers[1:], self.crew.buffers[0])
        self.meet()

    def broadcast(self, value):
        if self.rank == 0:
            self.crew.value = value
        self.meet()
        found = self.crew.value
        self.meet()
        return found
