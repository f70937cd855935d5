"""A thread that makes the next things while the last one is used."""

from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def made_ahead(
    make: Callable[[Callable[[], Any]], Iterator[T]], memories: "list[Any]"
) -> Generator[T, None, None]:
    """Yield what `make(take)` yields, which runs on a thread of its own.

    Before it makes a thing it calls `take()` for one of the memories, which it gets when nobody
    uses that any more: a thing is used until the next one is asked for. What it raises is raised
    here. Closing this ends the thread.
    """
    free, ready, closed = SimpleQueue[Any](), SimpleQueue[Any](), Event()
    used: list[Any] = []
    for memory in memories:
        free.put(memory)

    def take() -> Any:
        memory = free.get()
        if closed.is_set():
            raise _Closed
        used.append(memory)
        return memory

    def run() -> None:
        try:
            for thing in make(take):
                ready.put((thing, None))
            ready.put((_END, None))
        except _Closed:
            pass
        except BaseException as error:
            ready.put((_END, error))

    thread = Thread(target=run, daemon=True, name="xpmlp reading ahead")
    thread.start()
    try:
        while True:
            thing, error = ready.get()
            if error is not None:
                raise error
            if thing is _END:
                return
            yield thing
            free.put(used.pop(0))
    finally:
        closed.set()
        free.put(None)
        thread.join()


class _Closed(Exception):
    """Nobody wants more."""
