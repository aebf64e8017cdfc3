"""ONNX's own examples of ConvInteger and QLinearConv, and more of ConvInteger by its reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convjit
from convjit.spec import layout

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

Array = NDArray[Any]
Run = Callable[[str, Mapping[str, Array]], Array]
"""Runs the text of a program with arrays by name."""

CASES = {"convinteger": "ConvInteger", "qlinearconv": "QLinearConv"}
"""The modules of ONNX's node tests, and the operators that they are about."""

INPUTS = {
    "ConvInteger": ("x", "w", "x_zero", "w_zero"),
    "QLinearConv": ("x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "b"),
}
NAMES = {"uint8": "u8", "int8": "i8", "int32": "i32"}


def examples() -> Iterator[tuple[str, Any, list[Array], Array]]:
    """Name, node, arrays and result of each of ONNX's examples."""
    for module in CASES:
        import_module(f"onnx.backend.test.case.node.{module}")
    for case in import_module("onnx.backend.test.case.node")._NodeTestCases:
        (node, *more) = case.model.graph.node
        if node.op_type in CASES.values() and not more:
            ((arrays, (result,)),) = case.data_sets
            yield case.name, node, [np.asarray(a) for a in arrays], result


def program(node: Any, inputs: list[Array]) -> tuple[str, dict[str, Array]]:
    """The program that says what a node does, and the arrays it takes: scales and zero points become constants of it."""
    present = [role for role, name in zip(INPUTS[node.op_type], node.input) if name]
    given = dict(zip(present, inputs, strict=True))
    spatial = layout.SPATIAL[given["x"].ndim - 3]
    arrays: dict[str, Array] = {role: given[role] for role in ("x", "w", "b") if role in given}
    kernel = ("OC", "IC", *layout.kernel_axes(spatial))
    lines = [tensor("input", given, ("N", "C", *spatial)), tensor("weight", given, kernel)]
    for word in ("scale", "zero"):
        vector = given.get(f"w_{word}", np.zeros(0))
        if vector.size > 1:
            lines.append(f"param w{word} : {'f32' if word == 'scale' else NAMES[str(vector.dtype)]}[OC]")
            arrays[f"w{word}"] = vector
    if "y_scale" in given:
        y = NAMES[str(given["y_zero"].dtype)]
        lines.append(f"output y : {y}[N, OC, {', '.join(layout.output_axes(spatial))}]{quantities('y', given)}")
    lines += ["bias b : i32[OC]"] if "b" in given else []
    return "conv a {\n" + "\n".join([*lines, *window(node, len(spatial))]) + "\n}\n", arrays


def tensor(role: str, given: Mapping[str, Array], axes: tuple[str, ...]) -> str:
    """The clause of input or weight."""
    name = "x" if role == "input" else "w"
    sizes = ", ".join(f"{axis}={size}" for axis, size in zip(axes, given[name].shape, strict=True))
    return f"{role} {name} : {NAMES[str(given[name].dtype)]}[{sizes}]{quantities(name, given)}"


def quantities(name: str, given: Mapping[str, Array]) -> str:
    """Scale and zero point, as far as they are given: numbers, or vectors for each output channel."""
    words = ""
    for word in ("scale", "zero"):
        value = given.get(f"{name}_{word}")
        if value is not None:
            words += f" {word} " + (f"w{word} per OC" if value.size > 1 else f"({value.item()!r})")
    return words


def window(node: Any, rank: int) -> list[str]:
    """The clauses of a node's attributes."""
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    ones = [1] * rank
    pads = found.get("pads", [0] * 2 * rank)
    pairs = ", ".join(f"({low}, {high})" for low, high in zip(pads[:rank], pads[rank:], strict=True))
    words = {b"SAME_UPPER": "same", b"SAME_LOWER": "same_lower", b"VALID": "valid"}
    several = {word: ", ".join(map(str, found.get(f"{word}s", ones))) for word in ("stride", "dilation")}
    return [
        *(f"{word} ({numbers})" if rank > 1 else f"{word} {numbers}" for word, numbers in several.items()),
        f"groups {found.get('group', 1)}",
        f"pad {words.get(found.get('auto_pad', b''), f'({pairs})')}",
    ]


def check(run: Run) -> int:
    """Run ONNX's examples, each of which must come out exactly; how many there were."""
    count = 0
    for name, node, inputs, wanted in examples():
        text, arrays = program(node, inputs)
        result = run(text, arrays)
        assert result.dtype == wanted.dtype and np.array_equal(result, wanted), f"{name}\n{text}"
        count += 1
    return count


def by_reference(text: str, arrays: Mapping[str, Array]) -> Array:
    return convjit.reference(text, **arrays)


def test_the_examples_of_onnx() -> None:
    assert check(by_reference) >= 3
    assert {node.op_type for _, node, _, _ in examples()} == set(CASES.values())


def by_kernel(text: str, arrays: Mapping[str, Array]) -> Array:
    kernel: Any = convjit.compile(text)
    return np.asarray(kernel(**arrays))


def test_the_examples_of_onnx_compiled() -> None:
    assert check(by_kernel) >= 3


ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"strides": [2, 1], "pads": [1, 0, 2, 1]},
    {"dilations": [1, 2], "pads": [0, 2, 1, 0], "group": 2},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [1, 1], "group": 4},
)


@pytest.mark.parametrize("attributes", ATTRIBUTES, ids=str)
@pytest.mark.parametrize("vector", [False, True])
def test_convinteger_as_onnx_computes_it(attributes: dict[str, Any], vector: bool) -> None:
    evaluator = import_module("onnx.reference").ReferenceEvaluator
    groups, stream = attributes.get("group", 1), np.random.default_rng(len(attributes))
    for x_type, w_type in ((np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8), (np.int8, np.uint8)):
        x, w = whole(stream, x_type, (2, 4, 7, 6)), whole(stream, w_type, (4, 4 // groups, 3, 2))
        inputs = [x, w, whole(stream, x_type, ()), whole(stream, w_type, (4,) if vector else ())]
        node = onnx.helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], **attributes)
        (wanted,) = evaluator(node).run(None, dict(zip(node.input, inputs, strict=True)))
        text, arrays = program(node, inputs)
        assert np.array_equal(by_reference(text, arrays), wanted), text
        assert np.array_equal(by_kernel(text, arrays), wanted), text


def whole(stream: np.random.Generator, dtype: type, shape: tuple[int, ...]) -> Array:
    """Any numbers of an integer type."""
    ends = np.iinfo(dtype)
    return np.asarray(stream.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True), dtype)
