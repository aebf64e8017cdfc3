"""A model beside its f32 self: what every layer's arithmetic costs, and what has come together at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter

from convjit.errors import ConvError
from convjit.front.arithmetic import Array
from convjit.front.difference import nrmse
from convjit.front.layer import ConvLayer
from convjit.front.onnx.convs import Node
from convjit.front.onnx.graph import Graph
from convjit.front.onnx.layers import Layer

CALLS = 3
"""Of each layer; the quickest counts. The first compiles, and is none of them."""


@dataclass(frozen=True)
class Measured:
    """What `Layer` says of a measurement."""

    spec: str
    nrmse: float
    accumulated: float
    seconds: float | None
    f32_seconds: float

    def into(self, layer: Layer) -> Layer:
        """The row with these figures."""
        return replace(layer, **vars(self))


@dataclass(frozen=True)
class Comparison:
    """Outputs by name in the model's arithmetic, and in f32 by ONNX Runtime alone; the rows of all layers."""

    outputs: Mapping[str, Array]
    f32: Mapping[str, Array]
    layers: tuple[Layer, ...]

    @property
    def nrmse(self) -> dict[str, float]:
        """The error of each output, end to end: that of all layers together."""
        return {name: nrmse(y, self.f32[name]) for name, y in self.outputs.items()}

    def table(self) -> str:
        """A line for each layer. `this layer`: NRMSE against f32 of the same input; `so far`: against f32 from the start."""
        head = f"{'layer':<28}{'arithmetic':<16}{'this layer':>11}{'so far':>11}{'ms':>9}{'f32 ms':>9}"
        lines = [head, *map(_line, self.layers)]
        ends = [f"{name}: NRMSE {error:.3g}, end to end" for name, error in self.nrmse.items()]
        return "\n".join([*lines, *ends])


def alone(graph: Graph, node: Node, x: Array) -> Array:
    """A convolution of the model by ONNX Runtime, in the type of its tensors."""
    y: Array = graph.single[node.name]({node.x: x})[node.y]
    return y


def placed(node: Node, layer: ConvLayer, x: Array) -> Array:
    """Our output. What cannot be compiled for an input of this shape is said of the node, with the node's name."""
    try:
        return layer(x)
    except ConvError as error:
        shape = ", ".join(map(str, x.shape))
        text = f"The convolution '{node.name}' cannot run on an input of [{shape}]."
        raise type(error).of(text, note=[d.message for d in error.diagnostics]) from None


def side_by_side(
    graph: Graph, node: Node, layer: ConvLayer | None, x: Array, exact_x: Array
) -> tuple[Array, Array, Measured]:
    """Our output of `x`, ONNX Runtime's of `exact_x` (the input of a run that is f32 from the start), and the figures."""
    exact = alone(graph, node, exact_x)
    same, f32_seconds = _timed(lambda: alone(graph, node, x))
    if layer is None:
        return same, exact, Measured("", 0.0, nrmse(same, exact), None, f32_seconds)
    y, seconds = _timed(lambda: placed(node, layer, x))
    return y, exact, Measured(layer.text, nrmse(y, same), nrmse(y, exact), seconds, f32_seconds)


def _timed(call: Callable[[], Array]) -> tuple[Array, float]:
    """The result, and the seconds of the quickest of a few calls, after one that compiles."""
    y, best = call(), float("inf")
    for _ in range(CALLS):
        start = perf_counter()
        call()
        best = min(best, perf_counter() - start)
    return y, best


def _line(layer: Layer) -> str:
    name = layer.name if len(layer.name) < 28 else f"{layer.name[:12]}…{layer.name[-13:]}"
    if layer.ran_by != "convjit":
        return f"{name:<28}{layer.ran_by}: {layer.why}"
    if layer.nrmse is None or layer.accumulated is None or layer.seconds is None or layer.f32_seconds is None:
        return f"{name:<28}{layer.arithmetic:<16}not run"
    figures = f"{layer.nrmse:>11.3g}{layer.accumulated:>11.3g}{layer.seconds * 1e3:>9.3f}{layer.f32_seconds * 1e3:>9.3f}"
    return f"{name:<28}{layer.arithmetic:<16}{figures}{'  ' + layer.why if layer.why else ''}"
