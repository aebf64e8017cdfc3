"""`load`, and the model that it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convjit.errors import ConvError
from convjit.front.arithmetic import Array, Scales, needs_scales
from convjit.front.layer import ConvLayer
from convjit.front.onnx.compare import Comparison, Measured, alone, placed, side_by_side
from convjit.front.onnx.convs import Node
from convjit.front.onnx.files import Given, read
from convjit.front.onnx.graph import Graph, graph_of, walk
from convjit.front.onnx.inputs import Inputs, named
from convjit.front.onnx.layers import RUNTIME, Layer, described, possible, row, wanted
from convjit.front.onnx.pieces import Runtime, called, constants_of
from convjit.front.scales import known_method, scales


def load(
    model: Given,
    arithmetic: str | Mapping[str, str] = "f32",
    calibration: Sequence[Inputs] = (),
    method: str = "mse",
    target: str | None = None,
    threads: int | None = None,
) -> Model:
    """A model in ONNX whose convolutions run on convjit's kernels.

    `model`: the path of a file, its bytes, or a ModelProto. `arithmetic`: one of `convjit.front.arithmetic.ARITHMETICS`, or a mapping
    from names of nodes to them, where `*` stands for every other node and `onnxruntime` leaves a node alone. `calibration`: inputs as
    `run` takes them, from which the scales of integers are chosen by `method` (`mse`, `minmax`, `percentile`) while the model runs in
    f32. `target`, `threads`: as of `convjit.compile`; ONNX Runtime gets the same number of threads.

    Raises `ConvError` for what is no model, for unknown names and for integers without calibration, `Unavailable` where a package is
    missing or where ONNX Runtime cannot run the model.
    """
    known_method(method)
    proto = read(model)
    runtime = Runtime(proto, constants_of(proto.graph), threads)
    session = runtime.session(proto.SerializeToString())
    graph = graph_of(proto, runtime)
    asked = wanted(arithmetic, graph)
    chosen = {node.name: possible(node, asked[node.name]) for node in graph.convs}
    found = _calibrated(graph, {name: word for name, (word, _) in chosen.items()}, calibration, method)
    layers: dict[str, ConvLayer] = {}
    for number, node in enumerate(graph.convs):
        word, _ = chosen[node.name]
        if word != RUNTIME:
            given = found.get(node.name)
            layers[node.name] = ConvLayer(node.w, node.bias, node.window, word, given, f"conv{number}", target, threads)
    return Model(graph, session, layers, {name: why for name, (_, why) in chosen.items()})


def _calibrated(
    graph: Graph, chosen: Mapping[str, str], calibration: Sequence[Inputs], method: str
) -> dict[str, Scales]:
    """The scales of the layers that multiply integers, from a run of the model in f32."""
    integers = [name for name, word in chosen.items() if word != RUNTIME and needs_scales(word)]
    found: dict[str, Scales] = {}
    if not integers:
        return found
    if isinstance(calibration, Mapping) or not len(calibration):
        raise ConvError.of(
            f"'{chosen[integers[0]]}' needs calibration: a list of inputs, from which scales are chosen.",
            hint="For example: load(model, arithmetic='i8', calibration=[x])",
        )

    def convolve(node: Node, xs: Sequence[Array]) -> list[Array]:
        word = chosen[node.name]
        if node.name in integers:
            plain = ConvLayer(node.w, node.bias, node.window).plain(xs[0].shape)
            found[node.name] = scales(plain, xs, node.w, word, method)
        return [alone(graph, node, x) for x in xs]

    walk(graph, [named(graph, one) for one in calibration], convolve)
    return found


class Model:
    """A model to run: `run` gives its outputs, `layers` says who runs each convolution, `compare` measures. Made by `load`."""

    def __init__(self, graph: Graph, session: Any, own: Mapping[str, ConvLayer], why: Mapping[str, str]) -> None:
        self._graph, self._session, self._own, self._why = graph, session, own, why

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what a call must give."""
        return tuple(value.name for value in self._graph.inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what a call returns."""
        return self._graph.outputs

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every convolution of the model: those of its own graph in the order in which they run, then what could not be replaced."""
        own = (row(node, self._own.get(node.name), self._why[node.name]) for node in self._graph.convs)
        return (*own, *map(described, self._graph.left))

    def run(self, inputs: Inputs) -> dict[str, Array]:
        """The outputs by name. `inputs`: arrays by name, in the model's order, or one array where there is one input.

        Raises `ConvError` for inputs that the model does not take.
        """
        given = named(self._graph, inputs)
        return walk(self._graph, [given], lambda node, xs: [self._convolve(node, x) for x in xs])[0]

    def run_f32(self, inputs: Inputs) -> dict[str, Array]:
        """The outputs by name of the whole model in ONNX Runtime alone, as it optimises it: what `run` is compared with."""
        given = named(self._graph, inputs)
        return dict(zip(self.outputs, called(self._session, self.outputs, given), strict=True))

    def compare(self, inputs: Inputs) -> Comparison:
        """`run` beside f32, layer by layer: see `Layer` for what is measured."""
        measured: dict[str, Measured] = {}

        def convolve(node: Node, xs: Sequence[Array]) -> list[Array]:
            y, exact, measured[node.name] = side_by_side(self._graph, node, self._own.get(node.name), *xs)
            return [y, exact]

        given = named(self._graph, inputs)
        outputs, _ = walk(self._graph, [dict(given), dict(given)], convolve)
        layers = tuple(measured[r.name].into(r) if r.name in measured else r for r in self.layers)
        return Comparison(outputs, self.run_f32(inputs), layers)

    def _convolve(self, node: Node, x: Array) -> Array:
        layer = self._own.get(node.name)
        return placed(node, layer, x) if layer else alone(self._graph, node, x)
