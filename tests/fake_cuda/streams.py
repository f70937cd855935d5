"""Devices, streams and graphs."""

import weakref
from typing import Any, ClassVar

from tests.fake_cuda.library import FakeCudaError, check, runtime
from tests.fake_cuda.state import MACHINE


class Device:
    """Counts how deep `with` blocks are nested, so that work off the device is noticed."""

    compute_capability = "90"
    attributes: ClassVar = {"MultiProcessorCount": 132, "WarpSize": 32}

    def __init__(self, device: Any = None) -> None:
        self.id = 0 if device is None else int(device)

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return self.id

    def __enter__(self) -> "Device":
        MACHINE.enter(1)
        return self

    def __exit__(self, *_: object) -> None:
        MACHINE.enter(-1)

    def synchronize(self) -> None:
        note_wait("Device.synchronize")
        check(runtime().fake_wait_for_all())


def note_wait(what: str) -> None:
    if runtime().fake_captures_running():
        runtime().fake_invalidate_captures()
        raise FakeCudaError(f"{what}: not permitted while a stream captures")
    MACHINE.synchronizations += 1


class Stream:
    """A stream; work on it is done when somebody waits for it."""

    null: ClassVar["Stream"]

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        self.ptr = 0 if null else runtime().fake_stream_create(not non_blocking)
        self.is_non_blocking = non_blocking
        if self.ptr:
            weakref.finalize(self, runtime().fake_stream_destroy, self.ptr).atexit = False

    def __enter__(self) -> "Stream":
        MACHINE.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        MACHINE.streams.pop()

    def use(self) -> "Stream":
        MACHINE.streams[-1:] = [self]
        return self

    def synchronize(self) -> None:
        note_wait("Stream.synchronize")
        check(runtime().fake_wait(self.ptr))

    @property
    def done(self) -> bool:
        return bool(runtime().fake_is_idle(self.ptr))

    def is_capturing(self) -> bool:
        return bool(runtime().fake_is_capturing(self.ptr))

    def begin_capture(self, mode: int | None = None) -> None:
        check(runtime().fake_begin_capture(self.ptr))

    def end_capture(self) -> "Graph":
        handle = runtime().fake_end_capture(self.ptr)
        check(handle)
        MACHINE.captures += 1
        return Graph(handle)


class Graph:
    """What a stream captured. nodes: the names of its kernels, "copy" and "gemm"."""

    def __init__(self, handle: int) -> None:
        self.graph = handle
        library = runtime()
        count = library.fake_graph_size(handle)
        self.nodes = [library.fake_graph_node(handle, i).decode() for i in range(count)]
        MACHINE.graphs.append(self.nodes)
        weakref.finalize(self, library.fake_graph_destroy, handle).atexit = False

    def launch(self, stream: Stream | None = None) -> None:
        handle = MACHINE.stream if stream is None else stream.ptr
        check(runtime().fake_graph_launch(self.graph, handle))
        MACHINE.graph_launches += 1

    def upload(self, stream: Stream | None = None) -> None:
        pass


Stream.null = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    return MACHINE.streams[-1] if MACHINE.streams else Stream.null
