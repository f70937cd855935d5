"""The tables of a program for a CPU: arrays, sizes and numbers, by their places."""

import math
import re
from textwrap import indent
from typing import Any

from xpmlp.compiler.expressions import FLOATING, Parameter, parameter
from xpmlp.compiler.recording import Node


class Tables:
    """What a text reads by its place.

    places: the arrays of all nodes. nodes, sizes, numbers: in the order of their places. scratch:
    the nodes that are memory for what tiles leave, and their C types. sums: the parts of what is
    in no one piece.
    """

    def __init__(self, places: dict[Node, Any], sums: dict[Node, Node]) -> None:
        self.places, self.sums = places, sums
        self.nodes: dict[Node, int] = {}
        self.scratch: dict[Node, str] = {}
        self.sizes: list[int] = []
        self.numbers: list[float] = []

    def array(self, node: Node) -> int:
        """Return the place of an array's address."""
        if node not in self.places and node not in self.scratch:
            self.places[node] = node.constant
        return self.nodes.setdefault(node, len(self.nodes))

    def size(self, value: int) -> int:
        """Return the place of a size."""
        self.sizes.append(value)
        return len(self.sizes) - 1

    def number(self, value: float) -> int:
        """Return the place of a number."""
        self.numbers.append(value)
        return len(self.numbers) - 1


class Block:
    """One task in the text: it declares what it takes from the tables."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.declared: dict[str, str] = {}

    def read(self, node: Node) -> Parameter:
        """Return an array that is read."""
        return self._array(node, "const ")

    def written(self, node: Node) -> Parameter:
        """Return an array that is written."""
        return self._array(node, "")

    def _array(self, node: Node, constant: str) -> Parameter:
        place = self.tables.array(node)
        made = self._parameter(f"a{place}", node)
        if not constant or made.name not in self.declared:
            self.declared[made.name] = (
                f"{constant}{made.type}* const {made.name} = job->a[{place}];"
            )
        return made

    def _parameter(self, name: str, node: Node) -> Parameter:
        if node not in self.tables.scratch:
            return parameter(name, self.tables.places[node])
        shape = node.form[0]
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return Parameter(name, shape, strides, self.tables.scratch[node])

    def size(self, value: int) -> str:
        """Return a size in code."""
        if value in (0, 1):
            return str(value)
        place = self.tables.size(value)
        self.declared[f"n{place}"] = f"const Size n{place} = job->n[{place}];"
        return f"n{place}"

    def number(self, value: Any, kind: str | None) -> str:
        """Return a number in a C type."""
        if kind not in FLOATING:
            return f"(({kind}){int(value)})" if kind else str(int(value))
        place = self.tables.number(float(value))
        self.declared[f"k{place}"] = f"const {kind} k{place} = ({kind})job->c[{place}];"
        return f"k{place}"

    def text(self, body: str) -> str:
        """Return the block: the declarations of what the code names, and the code."""
        named = set(re.findall(r"\w+", body))
        declared = "".join(f"{line}\n" for name, line in self.declared.items() if name in named)
        return f"{{\n{indent(declared + body, '    ')}}}\n"
