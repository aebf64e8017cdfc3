"""The table of energies, the ratios that are quoted from it, and what a call takes by it."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.api import compilation, read
from convjit.cost import Cost, cost
from convjit.cost.energy import operation
from convjit.cost.energy_table import HOROWITZ, Figure, curve
from convjit.cost.operations import operations
from convjit.cost.predict import predict
from convjit.nest.counts import Counts
from convjit.nest.functions import steps
from convjit.nest.parse import parse

LAYER = """conv l {{
    input  x : {x}[N=1, H=12, W=12, C=16]
    weight w : {w}[KH=3, KW=3, OC=32, IC=16]
    {more}
}}"""


def of(target: str, x: str = "f32", w: str = "f32", more: str = "pad same", bound: bool = True) -> Cost:
    """Of a small layer."""
    ((spec, syntax),) = read(LAYER.format(x=x, w=w, more=more)).values()
    return cost(compilation(spec, syntax, target), bound=bound)


# --- the table --------------------------------------------------------------------------------------------------


def test_stated_figures() -> None:
    assert HOROWITZ.multiplication("f32") == Figure(3.7, "stated")
    assert HOROWITZ.multiplication("u8") == Figure(0.2, "stated")
    assert HOROWITZ.addition("i32") == Figure(0.1, "stated")
    assert HOROWITZ.addition("bf16") == HOROWITZ.addition("f16") == Figure(0.4, "stated")
    assert HOROWITZ.cache_byte(32 << 10) == Figure(20 / 8, "stated")
    assert HOROWITZ.memory_byte.value == (1300 + 2600) / 2 / 8
    assert "ISSCC 2014" in HOROWITZ.source


def test_the_ratios_that_the_report_quotes() -> None:
    """Jouppi et al., In-Datacenter Performance Analysis of a Tensor Processing Unit: 16-bit float products take 6 times
    the energy and 6 times the area of 8-bit integer ones."""
    energy = HOROWITZ.multiplication("f16").value / HOROWITZ.multiplication("i8").value
    area = HOROWITZ.area_of_multiplication("f16").value / HOROWITZ.area_of_multiplication("i8").value
    assert (round(energy, 2), round(area, 2)) == (5.5, 5.82)
    assert round(energy) == round(area) == 6


def test_float_additions_beside_integer_ones() -> None:
    """Of the same page: 13 times the energy, 38 times the area."""
    energy = HOROWITZ.addition("f16").value / HOROWITZ.addition("i8").value
    area = HOROWITZ.area_of_addition("f16").value / HOROWITZ.area_of_addition("i8").value
    assert (round(energy), round(area)) == (13, 38)


def test_figures_between_and_beyond() -> None:
    sixteen = HOROWITZ.multiplication("i16")
    assert sixteen == Figure(pytest.approx((0.2 * 3.1) ** 0.5), "interpolated")
    wide = HOROWITZ.multiplication("f64")
    assert wide == Figure(pytest.approx(3.7 * 3.7 / 1.1), "extrapolated")
    assert HOROWITZ.addition("i64") == Figure(pytest.approx(0.2), "extrapolated")
    assert HOROWITZ.multiplication("i4").origin == HOROWITZ.multiplication("f8e4m3").origin == "extrapolated"
    assert HOROWITZ.cache_byte(256 << 10).origin == "interpolated"
    assert HOROWITZ.cache_byte(8 << 20).origin == "extrapolated"
    assert curve(((2, 4.0), (4, 16.0)), 3) == Figure(pytest.approx(9.0), "interpolated")
    assert curve(((2, 4.0), (4, 16.0)), 1) == Figure(pytest.approx(1.0), "extrapolated")


def test_more_bits_and_larger_caches_never_take_less() -> None:
    for way in (HOROWITZ.multiplication, HOROWITZ.addition):
        for types in (("i4", "i8", "i16", "i32", "i64"), ("f8e5m2", "f16", "f32", "f64")):
            values = [way(t).value for t in types]
            assert values == sorted(values)
    caches = [HOROWITZ.cache_byte(1 << n).value for n in range(12, 26)]
    assert caches == sorted(caches)
    assert caches[-1] < HOROWITZ.memory_byte.value


def test_operations_of_expressions() -> None:
    assert operation("add", "f32", HOROWITZ) == Figure(0.9, "stated")
    assert operation("max", "f32", HOROWITZ) == Figure(0.9, "assumed")
    assert operation("div", "f32", HOROWITZ) == Figure(4 * 3.7, "assumed")
    assert operation("fma", "f32", HOROWITZ).value == pytest.approx(4.6)
    assert operation("lt", "i1", HOROWITZ) == Figure(0.03, "assumed")
    silu = operation("silu", "f32", HOROWITZ)
    assert silu.value == pytest.approx(sum(operation(s.op, s.dtype, HOROWITZ).value for s in steps("silu", "f32")))
    assert silu.origin == "assumed"


# --- a call -----------------------------------------------------------------------------------------------------


TAPS = (3 * 12 - 2) ** 2


def test_operations_of_a_call() -> None:
    c = of("cpu:avx2", more="pad same; then relu").operations
    assert c.multiplications == c.additions == {"f32": TAPS * 16 * 32}  # skipped border taps are not there
    assert c.multiply_adds == TAPS * 16 * 32
    assert c.steps == {("max", "f32"): 12 * 12 * 32}
    assert c.conversions == {}


def test_integers_are_multiplied_in_the_type_that_the_target_multiplies() -> None:
    bytes_ = of("cpu:avx2", "u8", "i8").operations
    assert bytes_.multiplications == {"i16": TAPS * 16 * 32}
    assert bytes_.additions == {"i32": TAPS * 16 * 32}
    assert bytes_.conversions["i16"] >= 12 * 12 * 16  # of the input; the weights were bound
    assert of("cpu:avx2", "u8", "i8", bound=False).operations.conversions["i16"] == bytes_.conversions["i16"] + 9 * 16 * 32
    assert of("cpu:avx512_vnni", "u8", "i8").operations.multiplications == {"u8": TAPS * 16 * 32}


def test_instructions() -> None:
    nest = parse(
        "nest a\n  memory x: f32[i] of i=16\n  memory y: f32[i] of i=16\n  registers y.r: f32[i.1]\n"
        "  for i.0 in 0..16 step 8\n    simd i.1 in 0..8\n      y.r[i.1] = 0:f32\n"
        "    simd i.1 in 0..8\n      y.r[i.1] += x[i.0+i.1] * x[i.0+i.1]\n"
        "    simd i.1 in 0..8\n      y[i.0+i.1] = max:f32(y.r[i.1], 0:f32)"
    )
    found = operations(predict(nest), frozenset({"y.r"}))
    assert found.instructions == 2 * (2 + 1 + 1 + 1)  # loads of both factors, multiply-add, maximum, store
    assert operations(predict(nest), frozenset({"y.r"}), 32).instructions == 1
    assert operations(Counts(), frozenset()).instructions == 0


def test_parts_add_up() -> None:
    c = of("cpu:avx2")
    assert c.picojoules == pytest.approx(sum(c.by_level().values()))
    assert list(c.by_level()) == ["arithmetic", "instructions", "L1", "registers", "L2", "L3", "memory"]
    assert c.by_level()["arithmetic"] == pytest.approx(TAPS * 16 * 32 * 4.6)
    assert c.bytes == 12 * 12 * 16 * 4 + 9 * 16 * 32 * 4 + 12 * 12 * 32 * 4
    assert c.by_level()["memory"] == pytest.approx(c.bytes * 1950 / 8)
    assert {s.origin for s in c.shares if s.level == "registers"} == {"assumed"}


def test_narrow_types_take_less() -> None:
    f32, i8 = of("cpu:avx512_vnni"), of("cpu:avx512_vnni", "u8", "i8")
    assert i8.by_level()["arithmetic"] == pytest.approx(f32.by_level()["arithmetic"] * 0.3 / 4.6)
    assert i8.picojoules < f32.picojoules / 2
    assert of("cpu:scalar").by_level()["instructions"] > 4 * of("cpu:avx2").by_level()["instructions"]


def test_register_staging_saves_what_it_says() -> None:
    """Of the output: with sums in registers memory sees it once; without, at every multiply-add."""
    by_word = {word: of("cpu:avx2", more=f"pad same; dataflow {word}") for word in ("output_stationary", "weight_stationary")}
    memory = {w: next(f for f in c.flows if (f.tensor, f.level) == ("y", "memory")) for w, c in by_word.items()}
    assert memory["output_stationary"].elements == 12 * 12 * 32
    assert memory["weight_stationary"].elements > 10 * memory["output_stationary"].elements
    registers = {w: next(f for f in c.flows if (f.tensor, f.level) == ("y", "registers")) for w, c in by_word.items()}
    adds = TAPS * 16 * 32
    assert registers["output_stationary"].elements == 2 * adds + 2 * 12 * 12 * 32  # put to 0, added to, stored


def test_gpus_have_shared_memory() -> None:
    c = of("cuda:sm_80")
    assert {"shared", "L2", "memory", "registers"} <= c.by_level().keys()
    assert machine.get("cuda:sm_80").cache("shared").bytes == 163 << 10
    copied = next(f for f in c.flows if (f.tensor, f.level) == ("w", "shared"))
    assert copied.loads > copied.stores > 0


def test_open_sizes_have_defaults() -> None:
    text = "conv l { input x : f32[N=?, H=8, W=8, C=8]; weight w : f32[KH=1, KW=1, OC=8, IC=8] }"
    ((spec, syntax),) = read(text).values()
    c = compilation(spec, syntax, "cpu:avx2")
    assert cost(c).operations.multiply_adds == 64 * 64
    assert cost(c, {"N": 3}).operations.multiply_adds == 3 * 64 * 64
