"""Nodes that convolve: those that become ours, and those that are left, each with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convjit.front.arithmetic import Array
from convjit.front.layer import Window
from convjit.front.onnx.packages import onnx
from convjit.front.onnx.pieces import STANDARD, bodies, result

AUTO_PAD = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
"""Values of `auto_pad` and our words for them; NOTSET means `pads`."""


@dataclass(frozen=True)
class Node:
    """A `Conv` of the model that runs on our kernels: y = conv(x, w) + bias, channels first."""

    name: str
    x: str
    y: str
    w: Array = field(repr=False, compare=False)
    bias: Array | None = field(repr=False, compare=False)
    window: Window
    proto: Any = field(repr=False, compare=False)


@dataclass(frozen=True)
class Left:
    """A node that convolves, and that ONNX Runtime runs because of `why`."""

    name: str
    kind: str
    why: str


Constants = Callable[[str], Array | None]
"""The array of a name that is a constant, else None."""


def convolves(kind: str) -> bool:
    """Whether an operator is a convolution of some kind, of the standard or of an extension."""
    return "conv" in kind.lower()


def node_of(proto: Any, name: str, constant: Constants) -> Node | Left | None:
    """What becomes of a node of the model's own graph; None if it does not convolve."""
    if not convolves(proto.op_type):
        return None
    if proto.op_type != "Conv" or proto.domain not in STANDARD:
        return Left(name, proto.op_type, f"only Conv is replaced, not {proto.op_type}")
    w, bias = (constant(n) if n else None for n in (*proto.input[1:3], "", "")[:2])
    if w is None or (bias is None and len(proto.input) > 2 and proto.input[2]):
        return Left(name, "Conv", "its weight or bias is computed by the model")
    if not 3 <= w.ndim <= 5:
        return Left(name, "Conv", f"it has {w.ndim - 2} axes of space; convjit has 1 to 3")
    return Node(name, proto.input[0], proto.output[0], w, bias, _window(proto, w.ndim - 2), proto)


def inside(proto: Any, name: str) -> list[Left]:
    """The nodes that convolve in the bodies of a node (`If`, `Loop`, `Scan`), at any depth."""
    found = []
    for body in bodies(proto):
        for inner in body.node:
            own = inner.name or result(inner)
            if convolves(inner.op_type):
                found.append(Left(f"{name}/{own}", inner.op_type, f"it stands in the body of {proto.op_type} '{name}'"))
            found += inside(inner, f"{name}/{own}")
    return found


def _window(proto: Any, rank: int) -> Window:
    """The attributes of Conv, with the standard's defaults."""
    given = {a.name: onnx("helper").get_attribute_value(a) for a in proto.attribute}
    ones = (1,) * rank
    pads = given.get("pads") or (0,) * (2 * rank)
    word = given.get("auto_pad", b"NOTSET").decode()
    pairs = tuple(zip(pads[:rank], pads[rank:], strict=True))
    return Window(
        tuple(given.get("strides") or ones),
        tuple(given.get("dilations") or ones),
        AUTO_PAD.get(word, pairs),
        given.get("group", 1),
    )
