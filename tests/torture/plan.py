"""What is to happen at which file event of a process: the words of `events.c`, in its order."""

import errno
import struct
from dataclasses import dataclass
from pathlib import Path

KINDS = ("create", "write", "sync", "rename", "unlink", "mkdir", "look", "read", "allocate")
CHANGES = KINDS[:6]
ACTIONS = (
    *("count", "kill before", "kill after", "kill within"),
    *("stop", "fail", "short", "budget"),
)
KILLS = ACTIONS[1:4]
PAGE = struct.Struct(f"{len(KINDS) + 3}q232s")


@dataclass(frozen=True)
class Plan:
    """At the event of number `at` (from 1), of these kinds and below the folder, do the action.

    lasting: at every later one too. error: an errno. For `budget` the bytes after which the disk
    is full are in `at`. least: bytes from which on an allocation counts. report: the shared page.
    """

    folder: str
    report: str
    kinds: tuple[str, ...] = CHANGES
    action: str = "count"
    at: int = 0
    error: int = 0
    lasting: bool = False
    least: int = 1 << 15

    def mask(self) -> int:
        return sum(1 << KINDS.index(kind) for kind in self.kinds)

    def action_number(self) -> int:
        return ACTIONS.index(self.action)

    def told(self) -> str:
        """Return it in words, for the report of a broken promise."""
        what = f"{self.action} {errno.errorcode[self.error]}" if self.error else self.action
        often = " and all later ones" if self.lasting else ""
        unit = "byte" if self.action == "budget" else f"{' or '.join(self.kinds)} event"
        return f"{what} at {unit} {self.at}{often}"


@dataclass(frozen=True)
class Seen:
    """What a process has done: events of each kind, and the one at which something happened."""

    counts: dict[str, int]
    fired: bool
    written: int
    what: str

    @classmethod
    def read(cls, report: Path) -> "Seen":
        *counts, _, fired, written, what = PAGE.unpack(report.read_bytes())
        text = what.split(b"\0")[0].decode(errors="replace")
        return cls(dict(zip(KINDS, counts, strict=True)), bool(fired), written, text)

    def of(self, kinds: tuple[str, ...]) -> int:
        return sum(self.counts[kind] for kind in kinds)


def new_report(path: Path) -> Path:
    """Make an empty shared page; return its path."""
    path.write_bytes(bytes(PAGE.size))
    return path
