"""Bytes that are stored side by side are packed together, where the numbers that they come from are seen to fit."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from convjit import machine
from convjit.api import read
from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel, Op, walk
from convjit.kernel.narrow import narrowed
from convjit.kernel.parse import parse
from convjit.kernel.verify import verify
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.targets import CALLABLES
from tests.quantised_programs import arrays

HEAD = """kernel k for cpu:{target}
parameter x f32
parameter y {byte} written
parameter z {byte} written
{{
"""
TARGETS = {"avx2": 8, "avx512": 16}


def vector_of(at: int, target: str, byte: str, low: float, high: float, more: str = "") -> list[str]:
    """Lines that read a vector, clamp it and store it as the `at`th vector of y."""
    n, b = TARGETS[target], f"{at}00"
    return [
        f"%{b}1 = step ptr %x, {4 * n * at}",
        f"%{b}2 = load f32x{n} %{b}1 {{align 4, constant 1}}",
        f"%{b}3 = max f32x{n} {low}, %{b}2",
        f"%{b}4 = min f32x{n} %{b}3, {high}",
        f"%{b}5 = rint f32x{n} %{b}4",
        f"%{b}6 = convert i32x{n} %{b}5 {{from f32x{n}}}",
        *([f"%{b}7 = add i32x{n} %{b}6, {more}"] if more else []),
        f"%{b}8 = convert {byte}x{n} %{b}{7 if more else 6} {{from i32x{n}}}",
        f"%{b}9 = step ptr %y, {n * at}",
        f"store {byte}x{n} %{b}8, %{b}9 {{align 1}}",
    ]


def both(lines: list[str], target: str, byte: str = "u8") -> tuple[Kernel, Kernel]:
    """The kernel as it is, and behind the pass."""
    before = parse(HEAD.format(target=target, byte=byte) + "\n".join(lines) + "\n}\n")
    names = count(10**6)
    after = replace(before, body=narrowed(before.body, lambda: f"%{next(names)}", machine.get(before.machine)))
    verify(after, machine.get(after.machine))
    return before, after


def stores(kernel: Kernel) -> list[str]:
    """The types of all stores, as they stand."""
    return [s.type for s in walk(kernel.body) if isinstance(s, Op) and s.name == "store"]


def packs(kernel: Kernel) -> int:
    return sum(isinstance(s, Op) and s.name == "pack" for s in walk(kernel.body))


def results(kernel: Kernel, byte: str) -> Any:
    """What the kernel writes to y from numbers of every kind."""
    stream = np.random.default_rng(0)
    x = (stream.normal(0, 150, 128)).astype(np.float32)
    x[:8] = [np.nan, np.inf, -np.inf, 127.5, 128.5, -0.5, -128.5, 1e30]
    y = np.full(128, 77, np.uint8 if byte == "u8" else np.int8)
    interpret(kernel, machine.get(kernel.machine), {"x": x, "y": y, "z": np.zeros_like(y)})
    return y


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("many", "runs"), [(1, [1]), (2, [2]), (3, [2, 1]), (4, [4]), (5, [4, 1]), (6, [4, 2]), (7, [4, 2, 1])])
def test_neighbours_are_packed(many: int, runs: list[int], target: str) -> None:
    n = TARGETS[target]
    before, after = both([l for at in range(many) for l in vector_of(at, target, "u8", -128.0, 127.0, "128")], target)
    assert stores(after) == [f"u8x{n * run}" for run in runs]
    np.testing.assert_array_equal(results(after, "u8"), results(before, "u8"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("byte", "low", "high", "more"), [("u8", 0.0, 255.0, ""), ("i8", -128.0, 127.0, ""), ("i8", -100.0, 20.0, "3")])
def test_bytes_with_and_without_sign(byte: str, low: float, high: float, more: str, target: str) -> None:
    before, after = both([l for at in range(4) for l in vector_of(at, target, byte, low, high, more)], target, byte)
    assert packs(after) == 3
    np.testing.assert_array_equal(results(after, byte), results(before, byte))


def test_numbers_that_may_not_fit_are_converted_alone() -> None:
    """A conversion wraps, a packing instruction saturates."""
    for low, high, more in ((0.0, 256.0, ""), (-1.0, 255.0, ""), (-128.0, 127.0, "129"), (0.5, 254.5, "")):
        before, after = both([l for at in range(4) for l in vector_of(at, "avx2", "u8", low, high, more)], "avx2")
        assert after == before


def test_what_may_be_no_number_is_converted_alone() -> None:
    lines = [l.replace("max f32x8 0.0, %", "max f32x8 %").replace("002", "002, 0.0") if " max " in l else l
             for at in range(2) for l in vector_of(at, "avx2", "u8", 0.0, 255.0)]  # fmt: skip
    before, after = both(lines, "avx2")
    assert "max f32x8 %0002, 0.0" in "\n".join(lines) and after == before


def test_numbers_that_wrapped_on_the_way_are_converted_alone() -> None:
    """0 to 255 as i8 and back are -128 to 127."""
    lines = []
    for at in range(2):
        for line in vector_of(at, "avx2", "u8", 0.0, 255.0):
            lines.append(line.replace(f"%{at}008", f"%{at}005x") if " convert u8x8" in line else line)
            if " convert i32x8" in line:
                lines += [f"%{at}00a = convert i8x8 %{at}006 {{from i32x8}}", f"%{at}00b = convert i32x8 %{at}00a {{from i8x8}}"]
    lines = [l.replace("convert u8x8 %0006", "convert u8x8 %000b").replace("convert u8x8 %1006", "convert u8x8 %100b") for l in lines]
    lines = [l.replace("%0005x", "%0008").replace("%1005x", "%1008") for l in lines]
    before, after = both(lines, "avx2")
    assert after == before


def test_stores_by_two_pointers_stay_in_their_order() -> None:
    """Who knows how far apart they are: the second may overwrite the first."""
    lines = [l for at in range(2) for l in vector_of(at, "avx2", "u8", 0.0, 255.0)]
    lines = ["for %80 i64 0 to 8 step 8 sure {", "%81 = step ptr %y, %80", *lines, "}"]
    lines = [l.replace("step ptr %y, 8", "step ptr %81, 0") for l in lines]
    before, after = both(lines, "avx2")
    assert stores(after) == ["u8x8", "u8x8"]
    np.testing.assert_array_equal(results(after, "u8"), results(before, "u8"))


def test_vectors_that_do_not_stand_side_by_side_are_not_packed() -> None:
    lines = [l for at in (0, 2) for l in vector_of(at, "avx2", "u8", 0.0, 255.0)]
    before, after = both(lines, "avx2")
    assert stores(after) == ["u8x8", "u8x8"] and after == before


@pytest.mark.parametrize(
    ("between", "packed"),
    [
        (["%90 = load u8x8 %y {align 1}", "store u8x8 %90, %z {align 1}"], 0),
        (["%90 = load u8x8 %z {align 1}"], 1),
        (["%90 = load f32x8 %x {align 4}"], 1),
        (["store u8 3, %y {align 1}"], 0),
        (["for %90 i64 0 to 2 step 1 sure {", "store u8 3, %z {align 1}", "}"], 0),
    ],
)
def test_nothing_that_touches_the_same_memory_is_passed(between: list[str], packed: int) -> None:
    lines = [*vector_of(0, "avx2", "u8", 0.0, 255.0), *between, *vector_of(1, "avx2", "u8", 0.0, 255.0)]
    before, after = both(lines, "avx2")
    assert packs(after) == 2 * packed
    np.testing.assert_array_equal(results(after, "u8"), results(before, "u8"))


def test_a_scalar_machine_packs_nothing() -> None:
    kernel = parse("kernel k for cpu:scalar\nparameter y u8 written\n{\nstore u8 3, %y {align 1}\n}\n")
    assert narrowed(kernel.body, str, machine.get("cpu:scalar")) is kernel.body


PROGRAM = """conv a {{ input x : u8[N=1, H=5, W=6, C=16] scale 0.02 zero {zero}; weight w : i8[OC={oc}, KH=1, KW=1, IC=16] scale ws per OC
    output y : {byte}[N, OH, OW, OC] scale 8.0 zero {zero}; bias b : i32[OC]; param ws : f32[OC]; requantize {rule} }}"""


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512", "cpu:avx512_vnni"])
@pytest.mark.parametrize(("oc", "byte", "rule"), [(64, "u8", "onnx"), (48, "i8", "stablehlo"), (40, "u8", "onednn"), (64, "i8", "xnnpack")])
def test_convolutions(oc: int, byte: str, rule: str, target: str) -> None:
    ((spec, _),) = read(PROGRAM.format(oc=oc, byte=byte, rule=rule, zero=3)).values()
    compilation = Compilation(spec, machine.get(target))
    assert packs(compilation.kernels[-1]) > 0
    assert_exact(spec, compilation)


def assert_exact(spec: ConvSpec, compilation: Compilation) -> None:
    given = arrays(spec, 0)
    run: Any = CALLABLES["interpret"](compilation, None)
    np.testing.assert_array_equal(run(**given), reference(spec, **given))
