"""A process that is alone: what ranks do, without others."""

from typing import Any, ClassVar


class Alone:
    """One rank of one; see `ranks.Ranks`."""

    rank, size = 0, 1
    places: ClassVar[list[tuple[int, str]]] = []

    def all_sum(self, buffer: Any) -> None:
        """Leave the buffer: it is the sum."""

    def broadcast(self, value: Any) -> Any:
        """Return the value."""
        return value
