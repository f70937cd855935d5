"""From the schedule of a step to the C of a CPU, and the tables that it reads.

The text names no size, no number and no array but by its place in a table, so that one text, and
one compilation, serves nets of any width and batches of any number of rows.
"""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from xpmlp.compiler.cpu_loops import WRITERS
from xpmlp.compiler.cpu_products import join, partial, product
from xpmlp.compiler.cpu_tables import Block, Tables
from xpmlp.compiler.cpu_tasks import BY_ROWS, GATHER, JOIN, PARTIAL, Chain, Task
from xpmlp.compiler.expressions import row_major
from xpmlp.compiler.phases import Schedule, tiles
from xpmlp.compiler.recording import Node, NotRecordable, nodes_of

FOLDER = Path(__file__).with_name("cpu")


class Program(NamedTuple):
    """The text of a step, its tables, and the tiles of each phase.

    tiles: of each phase (chain, begin, end, number of the tile).
    """

    text: str
    tables: Tables
    tiles: list[list[tuple[int, int, int, int]]]


class Source:
    """Writes the program of a schedule.

    places: the arrays of all nodes.
    """

    def __init__(self, schedule: Schedule, places: dict[Node, Any]) -> None:
        self.schedule = schedule
        self.tables = Tables(places, schedule.sums)
        self.chains: list[Chain] = [chain for phase in schedule.phases for chain in phase]
        self.tiles = {chain: tiles(chain.length, schedule.parts) for chain in self.chains}
        self.endings: dict[Task, str] = {}

    def program(
        self, index_bits: int, rate: Node | None = None, metrics: Node | None = None
    ) -> Program:
        """Return the program.

        index_bits: of the integers of BLAS. rate: what each step takes anew from a table.
        metrics: what each step leaves in one.
        """
        if not all(self.schedule.phases):
            raise NotRecordable("a phase without work")
        functions = [self._chain(k, chain) for k, chain in enumerate(self.chains)]
        functions += [self._alone(k, rate, metrics) for k in range(len(self.schedule.alone))]
        integer = "long long" if index_bits == 64 else "int"
        text = "\n".join(
            [
                f"typedef {integer} BlasInt;",
                (FOLDER / "head.h").read_text(),
                *functions,
                _table("Chain", "CHAINS", "chain", len(self.chains)),
                _table("Alone", "ALONE", "alone", len(self.schedule.alone)),
                (FOLDER / "team.c").read_text(),
            ]
        )
        return Program(text, self.tables, self._pieces())

    def _pieces(self) -> list[list[tuple[int, int, int, int]]]:
        numbers = {chain: k for k, chain in enumerate(self.chains)}
        return [
            sorted(
                (
                    (numbers[chain], begin, end, part)
                    for chain in phase
                    for part, (begin, end) in enumerate(self.tiles[chain])
                ),
                key=itemgetter(3),
            )
            for phase in self.schedule.phases
        ]

    def _chain(self, k: int, chain: Chain) -> str:
        blocks = [self._block(task, len(self.tiles[chain])) for task in chain.tasks]
        head = f"static void chain_{k}(const Job* job, Size begin, Size end, Size part)"
        return f"{head} {{\n{indent(''.join(blocks), '    ')}}}\n"

    def _alone(self, k: int, rate: Node | None, metrics: Node | None) -> str:
        text = ""
        if k == 0 and rate is not None:
            place = self.tables.array(rate)
            text += f"memcpy(job->a[{place}], job->rates, job->rate_bytes);\n"
        before = self.schedule.phases[:k][-1:]
        ended = {task for phase in before for chain in phase for task in chain.tasks}
        ready = ended.union(self.schedule.alone[k])
        for task in sorted(ready, key=self.schedule.order.__getitem__):
            text += "" if task in ended else self._block(task, 1)
            text += self.endings.get(task, "")
        if k == len(self.schedule.alone) - 1:
            text += "".join(self._copy(new, old) for new, old in self.schedule.copies)
            if metrics is not None:
                place = self.tables.array(metrics)
                text += f"memcpy(job->metrics, job->a[{place}], job->metrics_bytes);\n"
        return f"static void alone_{k}(const Job* job) {{\n{indent(text, '    ')}}}\n"

    def _block(self, task: Task, parts: int) -> str:
        """Return the code of a task on a tile, or on all of it where one thread computes it."""
        block = Block(self.tables)
        body = self._body(task, block, parts)
        return block.text(_bounds(task, block) + body)

    def _body(self, task: Task, block: Block, parts: int) -> str:
        if task.segment is not None:
            writer = WRITERS[task.kind](task, block, parts)
            body = writer.text()
            finish = Block(self.tables)
            ending = WRITERS[task.kind](task, finish, parts, writer.scratch).finish()
            if ending:
                self.endings[task] = finish.text(ending)
            return body
        return OTHERS.get(task.operation.name, product)(task, block)

    def _copy(self, new: Node, old: Node) -> str:
        block = Block(self.tables)
        source, target = block.read(new), block.written(old)
        size = block.size(self.tables.places[new].nbytes)
        return block.text(f"memcpy({target.name}, {source.name}, {size});\n")


def _table(kind: str, name: str, function: str, count: int) -> str:
    entries = ", ".join(f"{function}_{k}" for k in range(count)) or "0"
    return f"static {kind}* const {name}[] = {{{entries}}};\n"


def _bounds(task: Task, block: Block) -> str:
    """Return the declarations of a tile's bounds."""
    bounds = {"r": ("0", block.size(task.rows)), "c": ("0", block.size(task.columns))}
    if task.chain is not None and task.operation.name != PARTIAL:
        bounds["r" if task.chain.axis == BY_ROWS else "c"] = ("begin", "end")
    return (
        "".join(
            f"const Size {axis}0 = {begin}, {axis}1 = {end};\n"
            for axis, (begin, end) in bounds.items()
        )
        + "(void)r0; (void)r1; (void)c0; (void)c1;\n"
    )


def _gather(task: Task, block: Block) -> str:
    """Return the loop that copies rows in the order of an epoch."""
    source, target = block.read(task.operation.arguments[0]), block.written(task.outputs[0])
    array = block.tables.places[task.outputs[0]]
    row, entry = block.size(array.nbytes // task.rows), array.itemsize
    return (
        "const int64_t* index = job->order + job->step * job->batch_size;\n"
        f"const char* const rows = (const char*){source.name} + c0 * {entry};\n"
        f"char* const batch = (char*){target.name} + c0 * {entry};\n"
        f"const Size bytes = (c1 - c0) * {entry};\n"
        "for (Size r = r0; r < r1; ++r) {\n"
        f"    if (r + AHEAD < r1) fetch_ahead(rows + index[r + AHEAD] * {row}, bytes);\n"
        f"    memcpy(batch + r * {row}, rows + index[r] * {row}, bytes);\n"
        "}\n"
    )


def _stack(task: Task, block: Block) -> str:
    """Return the statements that put numbers side by side."""
    out = block.written(task.outputs[0])
    entries = task.operation.arguments[0]
    if task.operation.options or any(node.form[0] for node in nodes_of(entries)):
        raise NotRecordable("a stack of more than numbers")
    return "".join(
        f"{out.name}[{k}] = {block.read(node).name}[0];\n" for k, node in enumerate(entries)
    )


def _argmax(task: Task, block: Block) -> str:
    """Return the loop that finds each row's first largest entry, or its first NaN."""
    source, out = block.read(task.operation.arguments[0]), block.written(task.outputs[0])
    if not row_major(source):
        raise NotRecordable("argmax of rows that do not lie in one piece")
    width = block.size(task.columns)
    return (
        "for (Size r = r0; r < r1; ++r) {\n"
        f"    const {source.type}* const row = {source.name} + r * {width};\n"
        "    Size at = 0;\n"
        "    for (Size c = 1; c < c1 && row[at] == row[at]; ++c)\n"
        "        if (row[c] > row[at] || row[c] != row[c]) at = c;\n"
        f"    {out.name}[r] = at;\n"
        "}\n"
    )


OTHERS: dict[str, Callable[[Task, Block], str]] = {
    GATHER: _gather,
    "stack": _stack,
    "argmax": _argmax,
    PARTIAL: partial,
    JOIN: join,
}
