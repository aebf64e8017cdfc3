"""Default schedules for CPUs: one text for every kind of shape, and what must hold of all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.kernel.ir import For, Op, walk
from convjit.kernel.pressure import pressure
from convjit.pipeline import Compilation
from convjit.schedule.choose import choose
from convjit.schedule.facts import Facts
from convjit.schedule.order import SHARED_FROM
from convjit.schedule.schedule import Level, Phase, Schedule
from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests import shapes
from tests.conftest import Golden
from tests.convs import conv

TARGETS = ("cpu:scalar", "cpu:avx2", "cpu:avx512")
KINDS: dict[str, ConvSpec] = {
    "dense 56": conv((56, 56), (64, 64), (3, 3)),
    "dense 28": conv((28, 28), (128, 128), (3, 3)),
    "dense 14": conv((14, 14), (256, 256), (3, 3)),
    "dense 7": conv((7, 7), (512, 512), (3, 3)),
    "dense large": conv((224, 224), (64, 64), (3, 3)),
    "stride 2": conv((56, 56), (128, 128), (3, 3), stride=2),
    "dilation 2": conv((28, 28), (256, 256), (3, 3), dilation=2),
    "odd sizes": conv((37, 53), (35, 47), (5, 3)),
    "batch": conv((7, 7), (512, 512), (3, 3), batch=32),
    "1x1": conv((56, 56), (64, 256), (1, 1)),
    "1x1 deep": conv((7, 7), (2048, 512), (1, 1)),
    "1x1 stride 2": conv((56, 56), (256, 512), (1, 1), stride=2),
    "vector times matrix": conv((1, 1), (2048, 1000), (1, 1)),
    "first layer": conv((224, 224), (3, 64), (7, 7), stride=2),
    "first layer 3x3": conv((416, 416), (3, 16), (3, 3)),
    "few output channels": conv((64, 64), (64, 3), (3, 3)),
    "one output channel": conv((64, 64), (32, 1), (3, 3)),
    "depthwise": conv((56, 56), (144, 144), (3, 3), groups=144),
    "depthwise 5x5": conv((28, 28), (240, 240), (5, 5), groups=240),
    "depthwise stride 2": conv((112, 112), (96, 96), (3, 3), stride=2, groups=96),
    "depthwise pages apart": conv((7, 7), (1024, 1024), (3, 3), groups=1024),
    "depthwise twice as many": conv((56, 56), (32, 64), (3, 3), groups=32),
    "groups of 4": conv((56, 56), (128, 128), (3, 3), groups=32),
    "groups of 8": conv((28, 28), (256, 256), (3, 3), groups=32),
    "channels first": conv((28, 28), (128, 128), (3, 3), x="NCHW"),
    "channels first, crowded": conv((224, 224), (64, 64), (3, 3), x="NCHW"),
    "channels first 1x1": conv((14, 14), (1024, 256), (1, 1), x="NCHW"),
    "channels first depthwise": conv((56, 56), (144, 144), (3, 3), groups=144, x="NCHW"),
    "batch last": conv((14, 14), (64, 64), (3, 3), batch=32, x="CHWN"),
    "1-D": conv((1000,), (16, 32), (3,)),
    "3-D": conv((8, 14, 14), (16, 32), (3, 3, 3)),
    "open": conv(("?", "?"), (16, 32), (3, 3), batch="?"),
    "doubles": conv((28, 28), (64, 64), (3, 3), dtype="f64"),
    "tiny": conv((1, 1), (8, 8), (1, 1)),
}


def phase(spec: ConvSpec, target: str = "cpu:avx2") -> Phase:
    """The one phase of the default."""
    return choose(spec, machine.get(target)).phases[0]


@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_shape(target: str, golden: Golden) -> None:
    texts = [f"{name}\n    " + "\n    ".join(phase(spec, target).lines()) for name, spec in KINDS.items()]
    golden(f"defaults_{target.removeprefix('cpu:')}.txt", "\n".join(texts))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_text_compiles_to_the_same_kernel_when_pasted_back(kind: str, target: str) -> None:
    spec, m = KINDS[kind], machine.get(target)
    schedule = choose(spec, m)
    lines = "\n".join(schedule.phases[0].lines())
    pasted = choose(replace(spec, dataflow=(parse_schedule(lines),)), m)
    assert pasted.phases == schedule.phases


@pytest.mark.parametrize("kind", ["dense 56", "dense 28", "dense 14", "dense 7", "1x1", "first layer", "channels first"])
@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512"])
def test_the_tile_fits_in_the_registers(kind: str, target: str) -> None:
    m = machine.get(target)
    kernel = Compilation(KINDS[kind], m).kernels[-1]
    loops = [s for s in walk(kernel.body) if isinstance(s, For) and not any(isinstance(t, For) for t in s.body)]
    tiles = [loop for loop in loops if any(isinstance(s, Op) and s.name == "fma" for s in loop.body)]
    assert tiles
    assert pressure(replace(kernel, body=(max(tiles, key=lambda t: len(t.carried)),))) <= m.vector_registers


def levels(spec: ConvSpec, target: str = "cpu:avx2") -> list[str]:
    """The loops as words."""
    return [str(i) for i in phase(spec, target).items if isinstance(i, Level)]


def test_small_work_is_not_shared() -> None:
    assert not any("thread" in word for word in levels(KINDS["tiny"]))
    assert Facts(KINDS["tiny"], machine.get("cpu:avx2")).operations < SHARED_FROM
    assert "oc/16:thread" in levels(KINDS["dense 56"])


def test_an_open_batch_is_shared_whatever_it_is() -> None:
    spec = conv((4, 4), (4, 8), (1, 1), stride=2, batch="?")
    assert "n:thread" in levels(spec)


def test_axes_that_lie_side_by_side_are_one() -> None:
    fused = {x: phase(conv((8, 8), (16, 16), (1, 1), batch=4, x=x)).fuses[0].axes for x in ("NHWC", "NCHW", "HNWC")}
    assert fused == {"NHWC": ("n", "oh", "ow"), "NCHW": ("oh", "ow"), "HNWC": ("oh", "n", "ow")}


@pytest.mark.parametrize(
    "spec",
    [
        conv((8, 8), (16, 16), (1, 1), stride=2, batch=1),
        conv((8, 8), (16, 16), (1, 1), pad="1"),
        conv((8, 8), (16, 16), (1, 1), x="NHWC", y="NCWH"),
        conv(("?", "?"), (16, 16), (1, 1)),
    ],
)
def test_axes_that_do_not_are_not(spec: ConvSpec) -> None:
    assert phase(spec).fuses == ()


def test_channels_far_apart_are_copied_or_walked_in_blocks() -> None:
    assert "[x: scratch]" in phase(KINDS["channels first 1x1"]).lines()[1]
    assert "c/8" in levels(KINDS["channels first"])
    assert "c/4" in levels(KINDS["channels first, crowded"])
    assert not any(word.startswith("c/") for word in levels(KINDS["dense 28"]))


def test_weights_from_far_away_are_asked_for_ahead() -> None:
    assert "prefetch w c 8" in phase(KINDS["dense 7"]).lines()
    assert "prefetch w c 8" not in phase(KINDS["dense 56"]).lines()
    assert "prefetch w c 8" in phase(KINDS["dense 56"], "cpu:avx512").lines()


def test_rows_are_taken_together_where_one_leaves_registers_idle() -> None:
    first = conv((7, 7), (512, 512), (3, 3), x="NCHW")
    assert {"oh/2:thread", "ow/7"} <= set(levels(first, "cpu:avx512"))


def test_much_code_for_little_time_is_not_written() -> None:
    """Two rows at a time would be a little faster; top, bottom and sides of twice the sums each."""
    schedule: Schedule = choose(KINDS["dense 7"], machine.get("cpu:avx512"))
    assert "oh:thread" in levels(KINDS["dense 7"], "cpu:avx512")
    assert "times the code to compile" in schedule.reasons[-1]


@pytest.mark.parametrize(
    ("size", "stride", "tile"),
    [(28, 1, "oh/14 [y] {oh+kh}:unroll"), (14, 1, "oh/14 [y] {oh+kh}:unroll"), (28, 2, "oh/7 [y] kh:unroll"), (13, 1, "oh/13 [y] {oh+kh}")],
)
def test_few_rows_of_channels_first_depthwise_are_one_tile_or_two(size: int, stride: int, tile: str) -> None:
    """Where registers hold a sum of each beside the weights: with stride 1 a row of the input is read once and done with."""
    small = conv((size, size), (256, 256), (3, 3), stride=stride, groups=256, x="NCHW")
    line = str(choose(small, machine.get("cpu:avx512")))
    assert tile in line and line.index("ow/16") < line.index("oh/")
    assert "{oh+kh}" not in str(choose(small, machine.get("cpu:avx2")))


def test_many_rows_of_channels_first_depthwise_are_not() -> None:
    assert "oh/4:thread" in levels(KINDS["channels first depthwise"], "cpu:avx512")


def bytes_(c: int, oc: int, size: int = 12) -> ConvSpec:
    """A 3x3 layer of bytes."""
    x, w = ("x", "u8", {"N": 1, "H": size, "W": size, "C": c}), ("w", "i8", {"OC": oc, "KH": 3, "KW": 3, "IC": c})
    return Conv("bytes", input=x, weight=w, output=("y", "i32", "N OH OW OC"), pad="same")


def test_two_turns_of_sums_of_four_are_written_out() -> None:
    """With 32 registers and room in them; the processor then asks for the weight ahead by itself."""
    text = str(choose(bytes_(64, 64), machine.get("cpu:avx512_vnni")))
    assert " kh kw c/8 c/4:unroll ow:unroll" in text and "kh kw c/4 oc c" in text and "prefetch" not in text
    for target, spec in (
        ("cpu:avx512_vnni", bytes_(68, 64)),  # a rest of four
        ("cpu:avx512_vnni", bytes_(16, 64)),  # four turns
        ("cpu:avx512_vnni", bytes_(64, 32, 28)),  # 28 sums
        ("cpu:avx512", bytes_(64, 64)),  # sums of two
        ("cpu:avx2_vnni", bytes_(64, 64)),  # 16 registers
    ):
        assert " c/8 " not in str(choose(spec, machine.get(target))), target


def test_a_large_image_is_walked_some_rows_at_a_time() -> None:
    assert levels(KINDS["dense large"])[:3] == ["oh/8:thread", "oc/16:thread", "oh"]


def test_reasons_are_given() -> None:
    schedule: Schedule = choose(KINDS["1x1"], machine.get("cpu:avx2"))
    assert schedule.reasons == (
        "8 of oc lie in the 8 lanes of a vector",
        "a tile of 4 p x 2 vectors keeps 8 of 16 registers busy",
        "oh.ow lie side by side in memory and are walked as one loop",
        "by its count of instructions it reaches 86% of the machine's multiply-adds",
    )


SMALL = {
    "copied strip": conv((5, 10), (40, 24), (1, 1), x="NCHW"),
    "copied strip, batch": conv((5, 5), (33, 16), (1, 1), batch=3, x="NCHW"),
    "copied strip, batch inside": conv((5, 5), (33, 16), (1, 1), batch=3, x="NCHW", y="HWCN"),
    "fused": conv((5, 7), (9, 11), (1, 1), batch=2),
    "rows together": conv((5, 3), (5, 16), (3, 3)),
    "columns written out": conv((6, 19), (3, 24), (3, 3)),
    "columns written out, stride": conv((9, 19), (3, 8), (3, 3), stride=2, x="NCHW"),
    "weights in registers": conv((6, 6), (1024, 1024), (3, 3), groups=1024, stride=3),
    "rows in blocks": conv((33, 40), (12, 20), (3, 2), x="HWNC", batch=2),
    "multiplier 3": conv((7, 9), (5, 15), (3, 3), groups=5),
    "groups in lanes": conv((7, 9), (24, 24), (3, 3), groups=6),
    "groups in lanes, first": conv((7, 9), (24, 24), (3, 3), groups=6, x="NCHW"),
    "all rows by position": conv((14, 9), (6, 6), (3, 3), groups=6, x="NCHW"),
    "half of the rows": conv((14, 17), (6, 6), (3, 3), stride=2, groups=6, x="NCHW"),
    "batch in lanes": conv((4, 5), (3, 4), (2, 3), batch=9, x="HWCN"),
    "batch in a tile": conv((3, 3), (6, 16), (3, 3), batch=7),
}


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2"])
@pytest.mark.parametrize("kind", SMALL)
def test_exact(kind: str, target: str) -> None:
    spec = SMALL[kind]
    given = shapes.arrays(spec)
    kernel: Any = convjit.compile(spec, target=target, threads=2)
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))


@pytest.mark.parametrize("kind", ["all rows by position", "half of the rows"])
def test_exact_by_the_interpreter(kind: str) -> None:
    """Tiles for 32 registers, wherever the tests run."""
    spec = SMALL[kind]
    given = shapes.arrays(spec)
    run: Any = CALLABLES["interpret"](Compilation(spec, machine.get("cpu:avx512")), None)
    assert np.array_equal(run(*given), convjit.reference(spec, *given))
