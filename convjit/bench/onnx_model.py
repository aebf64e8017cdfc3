"""A convolution as an ONNX file, written without the `onnx` package, which ONNX Runtime does not need either.

An ONNX file is a protocol buffer. Fields are (number, value): an integer is a varint, text, bytes and messages have their
length before them. The numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Value = int | str | bytes
Fields = Iterable[tuple[int, Value]]
Attributes = Mapping[str, int | Sequence[int]]
Tensor = tuple[str, Sequence[int], DTypeLike]
"""Name, shape, type."""

KINDS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}
"""Types of elements."""

IR_VERSION, OPSET = 8, 17
ATTRIBUTE_INT, ATTRIBUTE_INTS = 2, 7


def convolution(
    x: Sequence[int],
    y: Sequence[int],
    constants: Mapping[str, NDArray[np.float32]],
    attributes: Attributes,
    relu: bool = False,
) -> bytes:
    """A model with an input x and an output y of these shapes, `constants` (weight, bias) as Conv takes them behind x."""
    nodes = [node("Conv", ["x", *constants], "c" if relu else "y", attributes)]
    nodes += [node("Relu", ["c"], "y", {})] if relu else []
    return model(nodes, ("x", x, np.float32), ("y", y, np.float32), constants)


def model(
    nodes: Iterable[bytes], x: Tensor, y: Tensor, constants: Mapping[str, NDArray[Any]], domains: Iterable[str] = ()
) -> bytes:
    """A file with one input and one output. `domains` are those of nodes that are not of the standard (version 1)."""
    graph = message(
        [
            *((1, one) for one in nodes),
            (2, "conv"),
            *((5, _tensor(name, array)) for name, array in constants.items()),
            (11, _value(*x)),
            (12, _value(*y)),
        ]
    )
    versions = {"": OPSET, **dict.fromkeys(domains, 1)}
    sets = [(8, message([(1, domain), (2, version)])) for domain, version in versions.items()]
    return message([(1, IR_VERSION), (7, graph), *sets])


def window(
    stride: Sequence[int], dilation: Sequence[int], pad: Sequence[tuple[int, int]], groups: int
) -> dict[str, int | Sequence[int]]:
    """The attributes of Conv and its relatives: all low sides of the padding come before the high ones."""
    sides = [p[0] for p in pad] + [p[1] for p in pad]
    return {"strides": stride, "dilations": dilation, "group": groups, "pads": sides}


def node(kind: str, inputs: Iterable[str], output: str, attributes: Attributes, domain: str = "") -> bytes:
    """An operator between tensors that are known by name."""
    described = [_attribute(name, value) for name, value in attributes.items()]
    fields: list[tuple[int, Value]] = [*((1, name) for name in inputs), (2, output), (4, kind)]
    fields += [(5, text) for text in described]
    return message([*fields, (7, domain)] if domain else fields)


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


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return message([(1, name), (3, value), (20, ATTRIBUTE_INT)])
    return message([(1, name), *((8, int(item)) for item in value), (20, ATTRIBUTE_INTS)])


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    data = np.asarray(array, array.dtype.newbyteorder("<")).tobytes()  # C order, whatever the array's own is
    return message([*((1, size) for size in array.shape), (2, _kind(array.dtype)), (8, name), (9, data)])


def _value(name: str, shape: Sequence[int], dtype: DTypeLike) -> bytes:
    sizes = message((1, message([(1, size)])) for size in shape)
    return message([(1, name), (2, message([(1, message([(1, _kind(dtype)), (2, sizes)]))]))])


def _kind(dtype: DTypeLike) -> int:
    return KINDS[np.dtype(dtype).name]
