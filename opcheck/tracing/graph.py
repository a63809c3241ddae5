"""The Wengert list, and the one loop that reads it.

A graph is a list of nodes in the order in which they were made; a node's arguments always stand before it.
Whatever a number may mean (a float, a fraction, a formula, a bound), reading the graph is `Graph.fold`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")

LEAVES = frozenset({"input", "padding", "constant"})


class Node(NamedTuple):
    """One line of a Wengert list."""

    op: str  # "input", "padding", "constant" or a key of PRIMITIVES
    args: tuple[int, ...] = ()  # ids of earlier nodes, in order; an id may repeat
    label: str = ""  # what a person calls it: "x", "m", "β1"
    at: tuple[int, ...] = ()  # which element of the labelled array
    value: Any = None  # leaves only: the number that was given

    @property
    def is_leaf(self) -> bool:
        return self.op in LEAVES


class Graph:
    """A recorded computation: `nodes` in execution order and the ids of its `outputs`."""

    __slots__ = ("nodes", "outputs")

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[int]) -> None:
        self.nodes = nodes
        self.outputs = tuple(outputs)

    def fold(self, leaf: Callable[[Node], Result], apply: Callable[[Node, list[Result]], Result]) -> list[Result]:
        """One result per node: `leaf(node)` for leaves, `apply(node, results of its arguments)` for the others."""
        results: list[Result] = []
        push = results.append
        for node in self.nodes:
            args = node[1]
            push(apply(node, [results[i] for i in args]) if args else leaf(node))
        return results

    def pruned(self) -> "Graph":
        """The same outputs, without the nodes that no output depends on."""
        needed = [False] * len(self.nodes)
        for output in self.outputs:
            needed[output] = True
        for k in range(len(self.nodes) - 1, -1, -1):
            if needed[k]:
                for i in self.nodes[k].args:
                    needed[i] = True
        place: dict[int, int] = {}
        nodes: list[Node] = []
        for k, node in enumerate(self.nodes):
            if needed[k]:
                place[k] = len(nodes)
                nodes.append(node._replace(args=tuple(place[i] for i in node.args)))
        return Graph(tuple(nodes), [place[output] for output in self.outputs])

    def dependent(self, leaf: int) -> list[bool]:
        """Which nodes depend on a leaf, itself included."""
        found: list[bool] = []
        for id, node in enumerate(self.nodes):
            found.append(id == leaf or any(found[i] for i in node[1]))
        return found

    def leaves(self) -> list[int]:
        """The ids of the input leaves, in the order in which they were first read."""
        return [k for k, node in enumerate(self.nodes) if node.op == "input"]
