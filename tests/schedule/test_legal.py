"""Schedules that cannot be: each with the message that it gets."""

from __future__ import annotations

import pytest

import convjit
from convjit.errors import ConvError, Unavailable
from tests.conftest import Golden

SPEC = """conv l {{
    input x : f32[N=1, H={h}, W=8, C=16]
    weight w : f32[KH=3, KW=3, OC=32, IC=16]
    pad same
    {more}
    dataflow {{
        {line}
    }}
}}"""

CPU = {
    "axis": "oc oh ow [y] kh kw cc",
    "fused_part": "fuse p = oh.ow; p/4 oh [y] oc kh kw c p:unroll",
    "fused_name": "fuse oc = oh.ow; oc [y] kh kw c",
    "fused_sum": "fuse p = oh.kh; p [y] oc kw ow c",
    "kind": "oc oh ow:unrol [y] kh kw c",
    "kind_of_gpu": "oc oh ow:warp [y] kh kw c",
    "kind_later": "oc oh ow [y] kh kw c:dot",
    "step_too_large": "oc/8 oc/16 oh ow [y] kh kw c oc:unroll",
    "not_walked": "oc/8 oh ow [y] kh kw c",
    "lanes_not_innermost": "oh ow oc/8:simd [y] kh kw c oc:unroll",
    "lanes_of_a_sum": "oc oh ow [y] kh kw c/8 c:simd",
    "lanes_without_instruction": "oh ow oc/32 [y] kh kw c oc:simd",
    "thread_on_a_sum": "oc oh ow [y] kh:thread kw c",
    "thread_inside": "oc/8 oh ow oc:thread [y] kh kw c",
    "no_output": "oc oh ow kh kw c",
    "staged_twice": "oc oh [w] ow [w] [y] kh kw c",
    "staged_outward": "oc oh [w] ow:unroll [w: scratch] [y] kh:unroll kw:unroll c:unroll",
    "unknown_tensor": "[z] oc oh ow [y] kh kw c",
    "shared_on_cpu": "oc oh [x: shared] ow [y] kh kw c",
    "ring_on_cpu": "oc oh [x: scratch ring 2] ow [y] kh kw c",
    "ring_of_registers": "oc oh ow [x: registers ring 2] [y] kh kw c",
    "converted": "oc oh [x: scratch as i16] ow [y] kh kw c",
    "swizzled": "oc oh [x: scratch swizzle 128] ow [y] kh kw c",
    "cache_level": "oc oh [x: L1] ow [y] kh kw c",
    "rolled_register_tile": "oc/8 oh ow [y] kh kw c oc",
    "position_pair": "oc oh/2 ow [y] {{oh+kw}}:unroll kh kw:unroll c",
    "position_rolled": "oc oh/2 ow [y] {{oh+kh}} kh:unroll kw c",
    "position_tail": "oc oh/3 ow [y] {{oh+kh}}:unroll kh:unroll kw c",
    "too_much_code": "oh/8 ow/8 [y] kh:unroll kw:unroll c:unroll oh:unroll ow:unroll oc:unroll",
    "packed_output": "oc oh ow [y] kh kw c; pack y: n oh ow oc",
    "packed_in_blocks": "oc oh ow [y] kh kw c; pack x: n h/2 h w c",
    "pack_crossed": "oc/3 oh ow [y] kh kw c oc:unroll; pack w: oc/2 kh kw c oc",
    "packed_as": "oc oh ow [y] kh kw c; pack x: n h w c as i16",
    "packed_twice": "oc oh ow [y] kh kw c; pack w: oc kh kw c; pack w: kh kw c oc",
    "pack_incomplete": "oc oh ow [y] kh kw c; pack w: oc kh kw",
    "pack_unknown": "oc oh ow [y] kh kw c; pack w: oc kh kw c oh",
    "pack_kind": "oc oh ow [y] kh kw c; pack w: oc kh kw c:unroll",
    "pack_across": "oc/8 oh ow [y] kh kw c oc/4:unroll oc:unroll; pack w: oc/16 kh kw c oc",
    "prefetch_unknown": "oc oh ow [y] kh kw c; prefetch y c 8",
    "prefetch_no_loop": "oc oh ow [y] kh kw c; prefetch w c/4 8",
    "launch_on_cpu": "oc oh ow [y] kh kw c; launch threads 128",
    "two_fuses": "fuse p = oh.ow; fuse q = n.oh; p [y] oc kh kw c",
    "no_loops": "pack w: oc kh kw c",
    "list_unused": "oc oh ow [y] kh kw c; pack w: list",
    "list_of_an_output": "oh ow oc:list [y] c:list kh:list kw:list; pack w: list; pack x: n c h w",
    "list_apart": "oc oh ow [y] c:list kh kw:list; pack w: list; pack x: n c h w",
    "list_uneven": "oc oh ow c/5 [y] c:list kh:list kw:list; pack w: list; pack x: n c h w",
    "list_outside": "oc oh c:list kh:list kw:list [y] ow:unroll; pack w: list; pack x: n c h w",
    "list_staged": "oc oh [w] ow [y] c:list kh:list kw:list; pack w: list; pack x: n c h w",
    "list_by_position": "oc oh/2 ow [y] c:list kw:list {{oh+kh}}:unroll kh:unroll; pack w: list; pack x: n c h w",
    "list_rolled_block": "oc oh ow [y] c:list kh:list kw; pack w: list; pack x: n c h w",
    "list_fused": "fuse p = oh.ow; oc p [y] c:list kh:list kw:list; pack w: list; pack x: n c h w",
    "list_prefetch": "oc oh ow [y] c:list kh:list kw:list; pack w: list; pack x: n c h w; prefetch w oc 2",
    "list_not_packed": "oc oh ow [y] c:list kh:list kw:list; pack w: oc kh kw c",
    "list_input_incomplete": "oc oh ow [y] c:list kh:list kw:list; pack w: list; pack x: n h w",
    "list_input_unknown": "oc oh ow [y] c:list kh:list kw:list; pack w: list; pack x: n c h w oh",
    "list_input_phases": "oc oh ow [y] c:list kh:list kw:list; pack w: list; pack x: n c h w w/2",
    "sums_in_no_order": "oc/8 [y: scratch | oc oc/2 kh] oc [y] c oh:unroll ow:unroll kh kw",
    "list_later_lanes": "oc oh ow [y] c:list kh:list kw:list n:simd; pack w: list; pack x: n c h w",
}
GPU = {
    "rolled_operand": "oc:block oh:block [x] ow:thread [y] kh kw c",
    "lanes_on_gpu": "oc:block oh:block ow/8:block [y] kh kw c ow:simd",
    "global_and_block": "oc:block oh:global ow:global [y] kh kw c",
    "block_inside": "oh:thread oc:block ow:block [y] kh kw c",
    "lanes_of_a_warp": "oc:block oh:block ow/8:block ow:lane [y] kh kw c",
    "too_many_threads": "oc:thread oh:thread ow:thread [y] kh kw c",
    "scratch_on_gpu": "oc:block oh:block [x: scratch] ow:thread [y] kh kw c",
    "matrix_roles": "oc/8:block oh:block ow:thread [y] kh kw c oc:m",
    "launch_later": "oc:block oh:block ow:thread [y] kh kw c; launch persistent 132",
    "launch_unknown": "oc:block oh:block ow:thread [y] kh kw c; launch cheese 2",
    "copied_by_tma": "oc:block oh:block ow:thread [y] kh kw c/4 [x: shared by tma] c",
    "barrier_in_unrolled": "oc:block oh:block ow/2:block [y] ow:unroll kh [x: shared] kw c",
    "list_on_gpu": "oc:block oh:block ow:thread [y] c:list kh:list kw:list; pack w: list; pack x: n c h w",
    "output_in_shared": "oc:block oh:block ow:thread [y] [y: shared] kh kw c",
}


def refusal(line: str, target: str, h: str = "8", more: str = "") -> ConvError:
    """The error that the line gets."""
    text = SPEC.format(line=line.replace("{{", "{").replace("}}", "}").replace("; ", "\n        "), h=h, more=more)
    with pytest.raises(ConvError) as caught:
        kernel = convjit.compile(text, target=target)
        kernel.dump("kernel")  # type: ignore[union-attr]
    return caught.value


@pytest.mark.parametrize("name", CPU)
def test_on_a_cpu(name: str, golden: Golden) -> None:
    golden(f"{name}.txt", f"{refusal(CPU[name], 'cpu:avx2')}\n")


@pytest.mark.parametrize("name", GPU)
def test_on_a_gpu(name: str, golden: Golden) -> None:
    golden(f"{name}.txt", f"{refusal(GPU[name], 'cuda:sm_80')}\n")


@pytest.mark.parametrize(
    ("x", "more", "line", "said"),
    [
        ("f32[N=1, H=8, W=?, C=4]", "", "oc oh ow [y] c:list kw:list", "W is open, and borders are copied"),
        ("f32[N=2, H=1, W=8, C=4]", "", "oc n ow [y] c:list kw:list; pack x: c n h w", "images lie one behind the other"),
        ("i16[N=1, H=1, W=8, C=6]", "groups 2", "g oc ow [y] c/2:list kw:list c:dot; pack x: n c/2 h w c", "no whole blocks"),
        ("f32[N=1, H=1, W=8, C=4]", "compute i8 scale x 3, w 3", "oc ow [y] c:list kw:list; pack x: n c h w as u8", "is not moved by 128 for a list"),
    ],
)
def test_lists_that_cannot_be(x: str, more: str, line: str, said: str) -> None:
    dtype, oc = x.split("[")[0], 8
    lines = line.replace("; ", "\n") + ("" if "pack x" in line else "\npack x: n c h w")
    lines += "\npack w: list" + (" as i8" if "compute" in more else "")
    ic = 3 if "groups" in more else 4
    text = f"conv a {{ input x : {x}\nweight w : {dtype}[OC={oc}, KH=1, KW=3, IC={ic}]; {more}\ndataflow {{\n{lines}\n}} }}"
    with pytest.raises(ConvError, match=said):
        convjit.compile(text, target="cpu:scalar" if "dot" not in line else "cpu:avx2")


def test_asynchronous_copies_need_a_newer_gpu(golden: Golden) -> None:
    line = "oc:block oh:block [y] kh kw c [x: shared by cp.async] ow:thread"
    golden("cp_async.txt", f"{refusal(line, 'cuda:sm_75')}\n")


def test_asynchronous_copies_are_of_four_bytes_or_more() -> None:
    text = (
        "conv a { input x : u8[N=1, W=16, C=4]; weight w : i8[OC=32, KW=1, IC=4]\n"
        "dataflow { oc:block [y] kw c [x: shared by cp.async] ow:thread } }"
    )
    with pytest.raises(ConvError, match="cp.async copies 4, 8 or 16 bytes, an element of x is smaller."):
        convjit.compile(text, target="cuda:sm_80").dump("kernel")  # type: ignore[union-attr]


MUST = """conv a {{
    input x : {x}
    weight w : {w}
    {more}
    dataflow {{
        oc ow [y] kw c
        {packs}
    }}
}}"""
U8, I8 = "u8[N=1, W=16, C=4]", "i8[OC=8, KW=1, IC=4]"


@pytest.mark.parametrize(
    ("name", "x", "w", "more", "packs"),
    [
        ("computed_unpacked", "f32[N=1, W=16, C=4]", "f32[OC=8, KW=1, IC=4]", "compute i8 scale x 2, w 2", ""),
        ("computed_narrow", "f32[N=1, W=16, C=4]", "f32[OC=8, KW=1, IC=4]", "compute i16 scale x 2, w 2", "pack x: w c as i8"),
        ("weight_with_zero", U8, f"{I8} zero 3", "", "pack x: w c as i16"),
        ("no_such_product", U8, I8, "", "pack x: w c as i32"),
    ],
)
def test_what_must_be_packed(golden: Golden, name: str, x: str, w: str, more: str, packs: str) -> None:
    with pytest.raises(ConvError) as caught:
        convjit.compile(MUST.format(x=x, w=w, more=more, packs=packs), target="cpu:avx2")
    golden(f"{name}.txt", f"{caught.value}\n")


def test_positions_need_stride_one(golden: Golden) -> None:
    line = "oc oh/2 ow [y] {{oh+kh}}:unroll kh:unroll kw c"
    golden("position_stride.txt", f"{refusal(line, 'cpu:avx2', more='dilation 2')}\n")


def test_scratch_memory_is_on_the_stack(golden: Golden) -> None:
    golden("scratch_too_large.txt", f"{refusal('[x: scratch] oc oh ow [y] kh kw c', 'cpu:avx2', h='1200')}\n")


def test_shared_memory_is_small(golden: Golden) -> None:
    line = "oc:block [x: shared] oh ow:thread [y] kh kw c"
    golden("too_much_shared.txt", f"{refusal(line, 'cuda:sm_80', h='800')}\n")


def test_open_axes_are_stepped_through_before_they_are_written_out(golden: Golden) -> None:
    line = "oc ow [y] kh kw c oh:unroll"
    golden("open_unroll.txt", f"{refusal(line, 'cpu:avx2', h='?')}\n")


def test_lanes_over_an_open_axis(golden: Golden) -> None:
    golden("open_lanes.txt", f"{refusal('oc ow [y] kh kw c oh:simd', 'cpu:avx2', h='?')}\n")


def test_what_comes_later_is_told_apart_from_what_is_wrong() -> None:
    assert isinstance(refusal(CPU["converted"], "cpu:avx2"), Unavailable)
    assert not isinstance(refusal(CPU["axis"], "cpu:avx2"), Unavailable)


def test_everything_wrong_is_told_at_once() -> None:
    error = refusal("oc oh ow:warp [y] kh:thread kw cc", "cpu:avx2")
    assert len(error.diagnostics) >= 3


def test_a_phase_has_no_name_and_stands_alone() -> None:
    with pytest.raises(ConvError, match="A direct convolution has one phase, without a name"):
        convjit.compile(SPEC.format(line="oc oh ow [y] kh kw c", h="8", more="").replace("dataflow {", "dataflow gemm {"))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("thread", "ow:block [y] oc/4 [x: shared] kh kw c oh:thread oc:unroll"),
        ("lane", "ow:block [y] oc/4 [x: shared] kh kw c oh:lane oc:unroll"),
        ("global", "oh:global ow:global oc [y] kh kw c"),
    ],
)
def test_threads_over_an_open_axis(kind: str, line: str, golden: Golden) -> None:
    golden(f"open_{kind}.txt", f"{refusal(line, 'cuda:sm_80', h='?')}\n")


BYTES = (
    "conv a {{ input x : u8[{axes}]; weight w : i8[OC=32, KW=3, IC={c}]; output y : i32[N, OW, OC]\n"
    "dataflow {{ {line} }} }}"
)
PAIRS = "oc/8 ow/2 [y] kw c/2 ow:unroll oc:simd c:dot"
PACKED = "\npack w: g oc/8 kw c/2 oc c"


@pytest.mark.parametrize(
    ("line", "c", "last", "text"),
    [
        (PAIRS.replace("/2 ow:u", "/4 ow:u") + PACKED, 8, "C", "sums 4 products of u8 and i8 in 8 lanes of i32"),
        ("oc/8 ow [y] kw c/2 c:dot oc:simd", 8, "C", "a dot product is one loop, the innermost, over c"),
        ("oc/8 ow [y] c kw/2 oc:simd kw:dot", 8, "C", "a dot product is one loop, the innermost, over c"),
        (PAIRS + PACKED, 8, "W", "the channels of x are not"),
        (PAIRS + PACKED.replace("c/2 oc c", "c oc"), 8, "C", "the channels of w are not"),
        ("ow/8 oc [y] kw c/2 ow:simd c:dot" + PACKED, 7, "C", "7 channels leave a rest"),
        ("[x: scratch] " + PAIRS + PACKED, 8, "C", "a dot product of a staged input is not implemented yet"),
    ],
)
def test_dot_products(line: str, c: int, last: str, text: str) -> None:
    axes = f"N=1, W=16, C={c}" if last == "C" else f"N=1, C={c}, W=16"
    with pytest.raises(ConvError, match=text):
        convjit.compile(BYTES.format(axes=axes, c=c, line=line), target="cpu:avx2")
