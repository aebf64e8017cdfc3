"""Parts of a model, each run by ONNX Runtime as a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from convjit.errors import ConvError, Unavailable
from convjit.front.onnx.packages import onnx, onnxruntime

Values = Mapping[str, Any]
"""Arrays by name; a sequence of arrays is a list."""


class Runtime:
    """What pieces need of the whole model: its versions, its constants (TensorProto by name), and the number of threads."""

    def __init__(self, model: Any, constants: Mapping[str, Any], threads: int | None) -> None:
        self.imports, self.ir_version = list(model.opset_import), model.ir_version
        self.constants, self.threads = constants, threads

    def session(self, data: bytes) -> Any:
        """A session of a whole model. `Unavailable` where ONNX Runtime does not take it."""
        options = onnxruntime().SessionOptions()
        options.intra_op_num_threads = self.threads or 0
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # its workers would take our workers' cores
        try:
            return onnxruntime().InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 (its classes have no common base)
            raise Unavailable.of("ONNX Runtime cannot run this model.", note=said(error)) from None


class Piece:
    """Some nodes of a model, in its order: called with the values that they read, it returns those that are wanted of them."""

    def __init__(self, runtime: Runtime, nodes: Sequence[Any], gives: Sequence[str]) -> None:
        self._runtime, self._nodes, self.gives = runtime, nodes, tuple(gives)
        made = {name for node in nodes for name in node.output}
        read = dict.fromkeys(name for node in nodes for name in names_read(node) if name not in made)
        self.reads = tuple(name for name in read if name not in runtime.constants)
        self._constants = [runtime.constants[name] for name in read if name in runtime.constants]
        self._sessions: dict[tuple[Any, ...], Any] = {}

    def __call__(self, values: Values) -> dict[str, Any]:
        """The wanted values. `ConvError` with ONNX Runtime's words where the nodes cannot work on these."""
        given = {name: values[name] for name in self.reads}
        return dict(zip(self.gives, called(self._session(given), self.gives, given), strict=True))

    def _session(self, given: Values) -> Any:
        """Made when types and ranks of what is read are known; a model need not say them."""
        key = tuple(_kind(value) for value in given.values())
        if key not in self._sessions:
            helper = onnx("helper")
            inputs = [_described(name, value) for name, value in given.items()]
            outputs = [onnx().ValueInfoProto(name=name) for name in self.gives]
            graph = helper.make_graph(self._nodes, "piece", inputs, outputs, self._constants)
            imports, version = self._runtime.imports, self._runtime.ir_version
            model = helper.make_model(graph, opset_imports=imports, ir_version=version)
            self._sessions[key] = self._runtime.session(model.SerializeToString())
        return self._sessions[key]


def called(session: Any, names: Sequence[str], given: Values) -> list[Any]:
    """The named outputs of a session. `ConvError` with ONNX Runtime's words where it cannot work on these inputs."""
    try:
        found: list[Any] = session.run(list(names), dict(given))
    except Exception as error:  # noqa: BLE001 (its classes have no common base)
        raise ConvError.of("ONNX Runtime cannot run the model on these inputs.", note=said(error)) from None
    return found


def names_read(node: Any) -> Iterator[str]:
    """The values that a node reads, those that bodies of `If`, `Loop` and `Scan` take from outside included."""
    yield from filter(None, node.input)
    for body in bodies(node):
        own = {value.name for value in (*body.input, *body.initializer)} | {n for inner in body.node for n in inner.output}
        names = {name for inner in body.node for name in names_read(inner)} | {value.name for value in body.output}
        yield from sorted(names - own)


def result(node: Any) -> str:
    """The first value that a node makes; optional ones before it may be left out."""
    return next(filter(None, node.output), "")


def bodies(node: Any) -> Iterator[Any]:
    """The graphs that are attributes of a node."""
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else []
        yield from attribute.graphs


def said(error: Exception) -> str:
    """What ONNX Runtime says, without the place in its own source that it begins with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0]


def _kind(value: Any) -> tuple[str, int]:
    return (f"sequence {value[0].dtype}", value[0].ndim) if isinstance(value, list) else (str(value.dtype), value.ndim)


def _described(name: str, value: Any) -> Any:
    """An input of a piece: its type, and as many sizes as it has, all open."""
    helper = onnx("helper")
    if isinstance(value, list):
        return helper.make_tensor_sequence_value_info(name, _element(value[0]), None)
    return helper.make_tensor_value_info(name, _element(value), [None] * value.ndim)


def _element(array: Any) -> int:
    if array.dtype.kind in "OUS":
        return int(onnx().TensorProto.STRING)
    return int(onnx("helper").np_dtype_to_tensor_dtype(array.dtype))


def constants_of(graph: Any) -> dict[str, Any]:
    """The constants of a graph as TensorProto by name: initializers, and the results of plain `Constant` nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in STANDARD:
            found |= {tensor.name: tensor for tensor in _constant(node)}
    return found


STANDARD = ("", "ai.onnx")
"""The names of the standard's own domain."""


def _constant(node: Any) -> Iterable[Any]:
    """The tensor of a `Constant` node, none where it is sparse or a text."""
    for attribute in node.attribute:
        if attribute.name == "value":
            tensor = onnx().TensorProto()
            tensor.CopyFrom(attribute.t)
            tensor.name = node.output[0]
            yield tensor
        elif attribute.name in NUMBERS:
            value = onnx("helper").get_attribute_value(attribute)
            shape = [len(value)] if attribute.name.endswith("s") else []
            kind = getattr(onnx().TensorProto, NUMBERS[attribute.name])
            yield onnx("helper").make_tensor(node.output[0], kind, shape, value if shape else [value])


NUMBERS = {"value_float": "FLOAT", "value_floats": "FLOAT", "value_int": "INT64", "value_ints": "INT64"}
