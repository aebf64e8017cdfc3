"""A model cut at its convolutions: levels of nodes for ONNX Runtime, and the convolutions behind each of them.

A value's level is the number of convolutions on the longest way to it. A level runs its own nodes at one go, then its
convolutions, whose results are of the next level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convjit.front.arithmetic import Array
from convjit.front.onnx.convs import Left, Node, inside, node_of
from convjit.front.onnx.packages import onnx
from convjit.front.onnx.pieces import Piece, Runtime, names_read, result

RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout")
"""Operators whose results are not made of their inputs alone."""


@dataclass(frozen=True)
class Level:
    """Nodes that ONNX Runtime runs together (or none), the convolutions that follow, and the values that nobody reads any more."""

    piece: Piece | None
    convs: tuple[Node, ...]
    drops: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A model to run level by level. `inputs` are those that a call must give; `kept` are the constants among outputs and inputs of
    convolutions; `single` runs one convolution alone, by ONNX Runtime."""

    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    levels: tuple[Level, ...]
    left: tuple[Left, ...]
    kept: Mapping[str, Array]
    single: Mapping[str, Piece]

    @property
    def convs(self) -> tuple[Node, ...]:
        """The convolutions that are ours, in the order in which they run."""
        return tuple(conv for level in self.levels for conv in level.convs)


def graph_of(model: Any, runtime: Runtime) -> Graph:
    """Cut a model. Constants from which a weight is computed (a transposition, a conversion) are computed here, once."""
    proto = model.graph
    nodes = [node for node in proto.node if result(node) not in runtime.constants]
    values = _Constants(runtime, nodes)
    names = _names(nodes)
    found = [node_of(node, name, values) for node, name in zip(nodes, names, strict=True)]
    left = [n for n in found if isinstance(n, Left)]
    left += [hidden for node, name in zip(nodes, names, strict=True) for hidden in inside(node, name)]
    convs = {node.y: node for node in found if isinstance(node, Node)}
    outputs = tuple(value.name for value in proto.output)
    return Graph(
        tuple(value for value in proto.input if value.name not in runtime.constants),
        outputs,
        _levels(runtime, nodes, convs, outputs),
        tuple(left),
        {n: a for n in (*outputs, *(c.x for c in convs.values())) if n in runtime.constants and (a := values(n)) is not None},
        {conv.name: Piece(runtime, [conv.proto], [conv.y]) for conv in convs.values()},
    )


def _names(nodes: Sequence[Any]) -> list[str]:
    """A name for each node: its own or that of its first output; outputs alone where those are not all different."""
    names = [node.name or result(node) for node in nodes]
    return names if len(set(names)) == len(names) else [result(node) for node in nodes]


def _levels(runtime: Runtime, nodes: Sequence[Any], convs: Mapping[str, Node], outputs: Iterable[str]) -> tuple[Level, ...]:
    level_of, rest, own = _sorted(nodes, convs)
    count = max([*rest, *own], default=-1) + 1
    last = _last_use(level_of, nodes, convs, outputs, count)
    made = {level: [name for node in rest.get(level, []) for name in node.output if name] for level in range(count)}
    levels = []
    for level in range(count):
        behind = own.get(level, [])
        direct = {conv.x for conv in behind}
        gives = [n for n in made[level] if last.get(n, level) > level or n in direct]
        piece = Piece(runtime, rest[level], gives) if gives else None
        drops = tuple(name for name, at in last.items() if at == level)
        levels.append(Level(piece, tuple(behind), drops))
    return tuple(levels)


def _sorted(
    nodes: Sequence[Any], convs: Mapping[str, Node]
) -> tuple[dict[str, int], dict[int, list[Any]], dict[int, list[Node]]]:
    """The level of every value, and the nodes of every level: for ONNX Runtime, and ours."""
    level_of: dict[str, int] = {}
    rest: dict[int, list[Any]] = {}
    own: dict[int, list[Node]] = {}
    for node in nodes:
        conv = convs.get(result(node))
        level = max((level_of.get(name, 0) for name in _reads(node, conv)), default=0)
        if conv is None:
            rest.setdefault(level, []).append(node)
        else:
            own.setdefault(level, []).append(conv)
        level_of |= dict.fromkeys(node.output, level if conv is None else level + 1)
    return level_of, rest, own


def _last_use(
    level_of: Mapping[str, int], nodes: Sequence[Any], convs: Mapping[str, Node], outputs: Iterable[str], end: int
) -> dict[str, int]:
    """The last level that reads a value; one beyond all levels for the model's outputs."""
    last: dict[str, int] = {}
    for node in nodes:
        conv = convs.get(result(node))
        level = level_of[result(node)] - (conv is not None)
        for name in _reads(node, conv):
            last[name] = max(last.get(name, 0), level)
    return last | dict.fromkeys(outputs, end)


def _reads(node: Any, conv: Node | None) -> Iterable[str]:
    """What must be there before a node runs: our convolutions hold their weights."""
    return names_read(node) if conv is None else (conv.x,)


class _Constants:
    """The arrays of constants by name, those included that other constants are computed to."""

    def __init__(self, runtime: Runtime, nodes: Sequence[Any]) -> None:
        self._runtime, self._nodes = runtime, nodes
        self._made = {name: node for node in nodes for name in node.output if name}

    def __call__(self, name: str) -> Array | None:
        if name in self._runtime.constants:
            array: Array = onnx("numpy_helper").to_array(self._runtime.constants[name])
            return array
        needed = self._ancestors(name)
        if needed is None:
            return None
        return self._computed(name, needed)

    def _computed(self, name: str, needed: set[str]) -> Array:
        chosen = [node for node in self._nodes if needed.intersection(node.output)]
        array: Array = Piece(self._runtime, chosen, [name])({})[name]
        return array

    def _ancestors(self, name: str) -> set[str] | None:
        """The values that a constant is computed from, itself included; None if an input or chance has a part in it."""
        found: set[str] = set()
        open_names = [name]
        while open_names:
            one = open_names.pop()
            if one in found or one in self._runtime.constants:
                continue
            node = self._made.get(one)
            if node is None or node.op_type in RANDOM:
                return None
            found.add(one)
            open_names += names_read(node)
        return found


Convolve = Callable[[Node, Sequence[Array]], Sequence[Array]]
"""The outputs of a convolution for several inputs at once: of several runs that go on side by side."""


def walk(graph: Graph, runs: Sequence[dict[str, Any]], convolve: Convolve) -> list[dict[str, Array]]:
    """Run a model on several sets of inputs side by side, level by level; the outputs of each. `runs` are used up."""
    for run in runs:
        run |= graph.kept
    for level in graph.levels:
        for run in runs:
            run |= level.piece(run) if level.piece else {}
        for conv in level.convs:
            for run, y in zip(runs, convolve(conv, [run[conv.x] for run in runs]), strict=True):
                run[conv.y] = y
        for run in runs:
            for name in level.drops:
                run.pop(name, None)
    return [{name: run[name] for name in graph.outputs} for run in runs]
