"""The text that the emitter writes, and what the forms that need several blocks compute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.emit.form import Form
from convjit.emit.llvm import emit, emit_module
from convjit.emit.table import TABLE
from convjit.emit.words import literal, llvm_type, scalar_literal, symbol_name, value_name, vector_literal
from convjit.errors import InternalError
from convjit.kernel.ir import Launch, Op
from convjit.kernel.ops import OPS
from convjit.kernel.parse import parse
from convjit.runtime.assemble import assembly
from tests.compiled import run, target
from tests.conftest import Golden
from tests.kernel.samples import DENSE, TILE

AVX2 = machine.get("cpu:avx2")


@pytest.mark.parametrize(("name", "text"), [("dense", DENSE), ("tile", TILE)])
def test_golden(name: str, text: str, golden: Golden) -> None:
    kernel = parse(text)
    golden(f"{name}.ll", emit(kernel, machine.get(kernel.machine)))


def test_every_op_has_a_form() -> None:
    assert set(TABLE) | {"const", "step"} == set(OPS)


def test_the_vocabulary_of_dense_is_avx2() -> None:
    text = assembly(emit(parse(DENSE), AVX2), target(AVX2))
    for instruction in ("vbroadcastss", "vfmadd", "vmaxps", "vmaskmovps", "prefetcht0"):
        assert instruction in text
    assert "zmm" not in text


SCALAR = """kernel f for cpu:scalar
parameter x f32
parameter y f32 written
size n
thread oh
{
%s
}"""


def scalar(ops: str, n: int = 3) -> list[float]:
    x, y = np.arange(1, 9, dtype=np.float32), np.zeros(8, np.float32)
    kernel = parse(SCALAR % ops)
    run(kernel, machine.get("cpu:scalar"), {"x": x, "y": y}, {"n": n}, {"oh": (2, 5)})
    return [float(v) for v in y]


def test_a_number_under_a_mask_is_a_branch() -> None:
    ops = """for %i i64 0 to 8 step 1 {
      %at = mul i64 %i, 4
      %p = step ptr %x, %at
      %q = step ptr %y, %at
      %m = lanes_inside i1 %i, %oh.end {offsets (-2)}
      %v = load_masked f32 %p, %m {align 4}
      store f32 %v, %q {align 4}
      %w = lt i1 %i, %n {type i64}
      store_masked f32 9.0, %q, %w {align 4}
    }"""
    assert scalar(ops) == [9.0, 9.0, 9.0, 4.0, 5.0, 6.0, 7.0, 0.0]


def test_values_of_loops_and_branches() -> None:
    ops = """for %i i64 %oh.begin to %oh.end step 1 {
      carry %a f32 = 1.0, then %c, gives %r
      carry %p ptr = %x, then %p2, gives %q
      %b = lt i1 %i, %n {type i64}
      %v = load f32 %p {align 4}
      if %b {
        %d = add f32 %a, %v
        for %k i64 0 to 2 step 1 sure {
          carry %e f32 = %d, then %g, gives %h
          %g = mul f32 %e, 2.0
        }
        merge %c f32 = %h, else %a
      }
      %p2 = step ptr %p, 4
    }
    store f32 %r, %y {align 4}
    %last = load f32 %q {align 4}
    %y1 = step ptr %y, 4
    store f32 %last, %y1 {align 4}"""
    assert scalar(ops, 3)[:2] == [(1 + 1) * 4.0, 4.0]
    assert scalar(ops, 4)[:2] == [((1 + 1) * 4.0 + 2) * 4, 4.0]


def test_a_loop_that_does_not_run() -> None:
    ops = """for %i i64 %oh.end to %oh.begin step 1 {
      carry %a f32 = 4.0, then 5.0, gives %r
    }
    store f32 %r, %y {align 4}"""
    assert scalar(ops)[0] == 4.0


def test_pointers_are_selected() -> None:
    ops = """%c = lt i1 %n, 5 {type i64}
    %x4 = step ptr %x, 16
    %p = select ptr %c, %x4, %x
    %v = load f32 %p {align 4}
    store f32 %v, %y {align 4}"""
    assert scalar(ops, 4)[0] == 5.0
    assert scalar(ops, 6)[0] == 1.0


@pytest.mark.isa("avx2")
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "u8", "i16"])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_masked_vectors_on_avx2(dtype: str, lanes: int) -> None:
    """Also where AVX2 has no masked move of that width."""
    kind: Any = {"f32": "f4", "f64": "f8", "i32": "i4", "i64": "i8", "u8": "u1", "i16": "i2"}[dtype]
    offsets = " ".join(map(str, range(lanes)))
    text = f"""kernel f for cpu:avx2
parameter x {dtype}
parameter y {dtype} written
size n
{{
%m = lanes_inside i1x{lanes} 0, %n {{offsets ({offsets})}}
%v = load_masked {dtype}x{lanes} %x, %m {{align 1}}
%w = add {dtype}x{lanes} %v, %v
store_masked {dtype}x{lanes} %w, %y, %m {{align 1}}
}}"""
    for n in range(lanes + 1):
        x, y = np.arange(1, lanes + 1).astype(kind), np.full(lanes, 99).astype(kind)
        run(parse(text), AVX2, {"x": x, "y": y}, {"n": n})
        np.testing.assert_array_equal(y, np.where(np.arange(lanes) < n, 2 * x, 99).astype(kind))


def test_several_kernels_share_their_declarations() -> None:
    kernel = parse(DENSE)
    text = emit_module((kernel, replace(kernel, name="again")), AVX2)
    assert text.count("declare <8 x float> @llvm.fma.v8f32") == 1
    assert "@dense(" in text
    assert "@again(" in text


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("f32", 0.1, "0x3FB99999A0000000"),
        ("f64", 0.1, "0x3FB999999999999A"),
        ("f32", -0.0, "0x8000000000000000"),
        ("f32", float("inf"), "0x7FF0000000000000"),
        ("f16", 1.0, "15360"),
        ("bf16", 1.0, "16256"),
        ("i8", 255, "-1"),
        ("u8", 255, "-1"),
        ("i64", -(2**63), "-9223372036854775808"),
        ("i1", 1, "true"),
    ],
)
def test_numbers(type: str, value: float, text: str) -> None:
    assert scalar_literal(type, value) == text


def test_zeros_keep_their_sign() -> None:
    assert literal("f32x4", 0.0) == "splat (float 0x0000000000000000)"
    assert literal("f32x4", -0.0) == "splat (float 0x8000000000000000)"
    assert vector_literal("f32x2", (0.0, -0.0)) == "<float 0x0000000000000000, float 0x8000000000000000>"


def test_names() -> None:
    assert [value_name(n) for n in ("%7", "%oh.begin", "%_a", "%.b")] == ["%.7", "%oh.begin", "%_a", "%..b"]
    assert [symbol_name(n) for n in ("f.1", "odd name")] == ["@f.1", '@"odd name"']


def test_what_cannot_be_written() -> None:
    for type, value in (("i8", 256), ("i32", 1.5), ("ptr", 0)):
        with pytest.raises(InternalError):
            scalar_literal(type, value)
    with pytest.raises(InternalError, match="^2 numbers for a constant of type f32x4$"):
        vector_literal("f32x4", (1.0, 2.0))
    with pytest.raises(InternalError, match="^LLVM has no type for 'f33'$"):
        llvm_type("f33")
    for op, message in (
        (Op("%1", "udiv", "f32"), "udiv has no form for f32"),
        (Op("%1", "ult", "i1", (), (("type", "f32"),)), "an unsigned comparison of f32"),
        (
            Op("%1", "load", "f32", (), (("align", 1.5),)),
            "load: attribute align must be a whole number, not 1.5",
        ),
        (Op("%1", "shuffle", "f32", (), (("order", 1),)), "shuffle: attribute order must be a list, not 1"),
    ):
        with pytest.raises(InternalError, match=f"^{message}$"):
            TABLE[op.name](Form(op, ("f32", "f32"), AVX2))
    with pytest.raises(InternalError, match="^cpu:avx2 has no instruction sine that gives f32$"):
        emit(replace(parse(DENSE), body=(Op("%1", "sine", "f32"),)), AVX2)
    with pytest.raises(InternalError, match="^const: attribute values must be a list, not 1$"):
        emit(replace(parse(DENSE), body=(Op("%1", "const", "f32", (), (("values", 1),)),)), AVX2)


def test_clusters_are_an_attribute() -> None:
    kernel = replace(parse(TILE), launch=Launch((1,), 64, 2048, 0, 4), machine="cuda:sm_90a")
    text = emit(kernel, machine.get("cuda:sm_90a"))
    assert '"nvvm.reqntid"="64" "nvvm.cluster_dim"="4,1,1"' in text


def test_a_mask_of_one_lane_is_an_access_to_one_number() -> None:
    """LLVM 22 stores four bytes for one where it narrows a vector and then stores a lane of it under a constant mask."""
    text = (
        "conv a { input x : u8[N=1, W=9, C=4] scale 1; weight w : i8[KW=1, IC=4, OC=17] scale 1; "
        "output y : u8[N, OW, OC] scale 9 }"
    )
    kernel: Any = convjit.compile(text, target="cpu:avx512")
    calls = [line for line in kernel.dump("llvm").splitlines() if "call" in line and "masked" in line]
    assert not [line for line in calls if line.count("i1 true") == 1]
