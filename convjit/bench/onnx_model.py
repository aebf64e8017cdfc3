"""A convolution as an ONNX file, written without the `onnx` package, which ONNX Runtime does not need either.

An ONNX file is a protocol buffer. Fields are (number, value): an integer is a varint, text, bytes and messages have their
length before them. The numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Value = int | str | bytes
Fields = Iterable[tuple[int, Value]]

FLOAT = 1
IR_VERSION, OPSET = 8, 17
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7


def convolution(
    x: Sequence[int],
    y: Sequence[int],
    constants: Mapping[str, NDArray[np.float32]],
    attributes: Mapping[str, int | Sequence[int]],
    relu: bool = False,
) -> bytes:
    """A model with an input x and an output y of these shapes, `constants` (weight, bias) as Conv takes them behind x."""
    nodes = [_node("Conv", ["x", *constants], "c" if relu else "y", attributes)]
    nodes += [_node("Relu", ["c"], "y", {})] if relu else []
    graph = message(
        [
            *((1, node) for node in nodes),
            (2, "conv"),
            *((5, _tensor(name, array)) for name, array in constants.items()),
            (11, _value("x", x)),
            (12, _value("y", y)),
        ]
    )
    return message([(1, IR_VERSION), (7, graph), (8, message([(1, ""), (2, OPSET)]))])


def message(fields: Fields) -> bytes:
    """The bytes of a message."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Seven bits in a byte, the lowest first; the eighth says that more follow."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _node(kind: str, inputs: Iterable[str], output: str, attributes: Mapping[str, int | Sequence[int]]) -> bytes:
    described = [_attribute(name, value) for name, value in attributes.items()]
    return message([*((1, name) for name in inputs), (2, output), (4, kind), *((5, text) for text in described)])


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return message([(1, name), (3, value), (20, ATTRIBUTE_INT)])
    return message([(1, name), *((8, int(item)) for item in value), (20, ATTRIBUTE_INTS)])


def _tensor(name: str, array: NDArray[np.float32]) -> bytes:
    data = np.ascontiguousarray(array, "<f4").tobytes()
    return message([*((1, size) for size in array.shape), (2, FLOAT), (8, name), (9, data)])


def _value(name: str, shape: Sequence[int]) -> bytes:
    sizes = message((1, message([(1, size)])) for size in shape)
    return message([(1, name), (2, message([(1, message([(1, FLOAT), (2, sizes)]))]))])
