"""Dot products of bytes (dp4a): exact in the interpreter for all signs, shapes, dataflows; nothing else multiplies."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import dtypes, machine
from convjit.api import compilation, read
from convjit.errors import ConvError
from convjit.kernel.alignment import alignments
from convjit.kernel.ir import Kernel, Op, walk
from convjit.pipeline import Compilation, stage_texts
from convjit.runtime.ptxas import assemble_ptx
from convjit.targets import CALLABLES
from tests.gpu.cases import CASES
from tests.gpu.fake import Driver, OnDevice
from tests.gpu.test_call import arrays, compiled

GPUS = ("cuda:sm_75", "cuda:sm_80", "cuda:sm_90a")
SIGNS = [(x, w) for x in ("u8", "i8") for w in ("u8", "i8")]
DATAFLOWS = ("output_stationary", "input_stationary", "weight_stationary")
SPEC = """conv a {{
    input x : {x}[N={n}, H={h}, W={wide}, C={c}]; weight w : {w}[KH={k}, KW={k}, OC={oc}, IC]
    {rest}
    dataflow {dataflow}
}}"""
GIVEN: dict[str, Any] = {
    "x": "u8", "w": "i8", "n": 1, "h": 6, "wide": 7, "c": 8, "oc": 16, "k": 3, "rest": "pad 1", "dataflow": "auto",
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "4 channels": {"c": 4},
    "8 channels": {"c": 8, "rest": "pad 1; stride 2"},
    "7 channels": {"c": 7},
    "13 channels": {"c": 13, "oc": 13},
    "3 channels": {"c": 3, "oc": 32, "k": 7, "rest": "pad 3; stride 2"},
    "2 channels": {"c": 2, "oc": 3},
    "20 channels": {"c": 20, "oc": 24, "h": 4, "wide": 5, "n": 2, "rest": "pad ((1, 0), (2, 1))"},
    "64 channels": {"c": 64, "oc": 40, "h": 4, "wide": 4, "rest": "pad 2; dilation 2"},
    "1x1": {"c": 68, "oc": 40, "k": 1, "rest": ""},
    "groups of 4": {"c": 16, "oc": 16, "rest": "pad 1; groups 4"},
    "groups of 3": {"c": 9, "oc": 6, "rest": "pad 1; groups 3"},
    "groups of 32": {"c": 64, "oc": 32, "h": 4, "wide": 3, "rest": "pad 1; groups 2"},
    "few outputs": {"c": 24, "oc": 5, "rest": "pad 1; stride (1, 2)"},
}


def on(target: str, **changes: Any) -> Compilation:
    """The convolution with some things changed."""
    ((spec, syntax),) = read(SPEC.format(**GIVEN | changes)).values()
    return compilation(spec, syntax, target)


def check(c: Compilation, **sizes: int) -> None:
    """Every bit is the reference's, for all values of the types."""
    rng = np.random.default_rng(3)
    given = []
    for t in c.spec.arguments:
        low, high = dtypes.limits(t.dtype)
        shape = [s or sizes[a] for a, s in zip(t.axes, t.sizes, strict=True)]
        drawn = np.where(rng.random(shape) < 0.3, rng.choice([low, high], shape), rng.integers(low, high + 1, shape))
        given.append(drawn.astype(dtypes.get(t.dtype).numpy))
    got: Any = CALLABLES["interpret"](compilation(c.spec, c.syntax, c.machine.name), 1)(*given)
    np.testing.assert_array_equal(got, convjit.reference(c.spec, *given))


def multiplied(c: Compilation) -> set[str]:
    """The instructions that multiply."""
    rows = {row.name for row in c.machine.rows}
    return {op.name for kernel in c.kernels for op in ops(kernel) if op.name in rows}


def ops(kernel: Kernel) -> list[Op]:
    return [stmt for stmt in walk(kernel.body) if isinstance(stmt, Op)]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str, dataflow: str) -> None:
    x, w = SIGNS[list(SHAPES).index(shape) % 4]
    target = GPUS[(list(SHAPES).index(shape) + DATAFLOWS.index(dataflow)) % 3]
    c = on(target, x=x, w=w, dataflow=dataflow, **SHAPES[shape])
    assert multiplied(c) == {f"dp4a_{x}_{w}"}
    check(c)


@pytest.mark.parametrize("target", GPUS)
@pytest.mark.parametrize(("x", "w"), SIGNS)
def test_signs(x: str, w: str, target: str) -> None:
    c = on(target, x=x, w=w, c=12)
    check(c)
    text = stage_texts(c)["ptx"]()
    words = {word.replace("i8", "s32").replace("u8", "u32") for word in (x, w)}
    found = set(re.findall(r"dp4a\.(\w+)\.(\w+)", text))
    assert found == {(x.replace("i8", "s32").replace("u8", "u32"), w.replace("i8", "s32").replace("u8", "u32"))}
    assert words == set(*found)
    assert not re.search(r"^\s*(?:\.extern \.func|call)", text, re.MULTILINE)


def test_sums_wrap_around() -> None:
    """33100 products of 255 and 255 are more than 2^31, of 66100 more than 2^32."""
    for c in (33100, 66100):
        one = on("cuda:sm_80", x="u8", w="u8", h=1, wide=1, c=c, oc=1, k=1, rest="")
        kernel: Any = CALLABLES["interpret"](one, 1)
        x, w = np.full((1, 1, 1, c), 255, np.uint8), np.full((1, 1, 1, c), 255, np.uint8)
        assert kernel(x, w).item() == (255 * 255 * c + 2**31) % 2**32 - 2**31


@lru_cache(maxsize=64)
def usage(shape: str, dataflow: str, target: str) -> tuple[str, list[tuple[int, int]]]:
    """PTX, and registers and bytes on the stack of each of its kernels."""
    text = stage_texts(on(target, dataflow=dataflow, **SHAPES[shape]))["ptx"]()
    used = assemble_ptx(text, machine.get(target).llvm_cpu).kernels
    return text, [(u.registers, u.stack + u.spill_stores + u.spill_loads) for u in used]


@pytest.mark.parametrize("target", GPUS)
@pytest.mark.parametrize("shape", SHAPES)
def test_assembled_without_spills(shape: str, target: str) -> None:
    for dataflow in DATAFLOWS if target == "cuda:sm_80" else DATAFLOWS[:1]:
        text, used = usage(shape, dataflow, target)
        assert "dp4a" in text
        assert all(spilled == 0 and registers <= 232 for registers, spilled in used)


LARGE = """conv a {{
    input x : u8[N=32, H={h}, W={h}, C={c}]; weight w : i8[KH={k}, KW={k}, OC={oc}, IC]; pad {pad}; groups {g}
}}"""


@pytest.mark.parametrize(
    ("h", "c", "oc", "k", "g"),
    [(56, 64, 64, 3, 1), (28, 128, 128, 3, 1), (7, 512, 512, 3, 1), (56, 64, 256, 1, 1), (14, 1024, 256, 1, 1),
     (56, 128, 128, 3, 32), (56, 65, 128, 1, 1), (28, 13, 128, 3, 1)],
)  # fmt: skip
@pytest.mark.parametrize("target", GPUS)
def test_layers_leave_room_for_the_blocks(h: int, c: int, oc: int, k: int, g: int, target: str) -> None:
    """8 by 8 sums for each thread, 16 channels of 8 pixels and 4 of 8 outputs beside them: three blocks of 128."""
    ((spec, _),) = read(LARGE.format(h=h, c=c, oc=oc, k=k, pad=k // 2, g=g)).values()
    text = stage_texts(compilation(spec, target=target))["ptx"]()
    main = next(u for u in assemble_ptx(text, target.removeprefix("cuda:")).kernels if u.name == "a")
    assert (main.stack, main.spill_stores, main.spill_loads) == (0, 0, 0)
    assert main.registers <= 168
    assert "ld.shared.b8" not in text and "ld.shared.u8" not in text


# --- how bytes are read and copied


def kinds(c: Compilation, name: str = "load") -> set[str]:
    """The types of the main kernel's accesses."""
    return {op.type for op in ops(c.kernels[-1]) if op.name == name}


def needed(c: Compilation) -> dict[str, int]:
    """What must divide the arrays' addresses."""
    found: dict[str, int] = {}
    for kernel in c.kernels:
        for name, n in alignments(kernel).items():
            found[name] = max(n, found.get(name, 1))
    return found


WIDE = [(64, "i32x4", 16), (24, "i32x2", 8), (20, "i32", 4), (6, "u8", 1), (7, "u8", 1)]


@pytest.mark.parametrize(("c", "x", "asked"), WIDE)
def test_words_are_as_wide_as_the_channels_allow(c: int, x: str, asked: int) -> None:
    """Copied to shared memory, and read by the threads themselves."""
    staged, own = on("cuda:sm_75", c=c, oc=32), on("cuda:sm_75", c=c, oc=4)
    for compiled_ in (staged, own):
        assert x in kinds(compiled_)
        assert kinds(compiled_) <= {x, "i32x4", "i32x2", "i32"}
        assert needed(compiled_)["x"] == asked
        assert needed(compiled_)["w"] == 1
    assert kinds(staged, "store") <= {"i32x4", "i32x2", "i32"}


def test_asynchronous_copies_move_words() -> None:
    for c, sizes in ((64, {16}), (24, {8}), (20, {4}), (14, set())):
        made = ops(on("cuda:sm_80", c=c, oc=64).kernels[-1])
        assert {op.attribute("bytes") for op in made if op.name == "cp_async_fill"} == sizes


@pytest.mark.parametrize("c", [8, 7])
def test_open_sizes(c: int) -> None:
    made = on("cuda:sm_80", n="?", h="?", wide="?", c=c, oc=6)
    assert multiplied(made) == {"dp4a_u8_i8"}
    assert kinds(made) == {"i32x2" if c == 8 else "u8", "i32"}
    check(made, N=2, H=5, W=4)


def test_an_address_that_is_not_a_multiple_is_refused(driver: Driver) -> None:
    case = next(c for c in CASES if c.name == "dot_box")
    kernel, given = compiled(driver, case), arrays(case)
    memory = np.zeros(given["x"].size + 32, np.uint8)
    begin = driver.keep(memory)
    off = begin + 17 - begin % 16
    with pytest.raises(ValueError) as caught:
        kernel(OnDevice(driver, given["x"], data=(off, False)), OnDevice(driver, given["w"]))
    assert str(caught.value).startswith("x starts at an address that is not a multiple of 16")


# --- schedules of one's own

LINES = {
    "nothing staged": "n:global oh:global ow/2:global oc/4:global [y] kh kw c/4 ow:unroll oc:unroll c:dot",
    "in registers": "n:global oh:global ow/2:global oc/4:global [y] kh kw c/4 [x] [w] ow:unroll oc:unroll c:dot",
    "rows of 8 outputs": "n:global oh:global ow:global oc/8:global [y] kh kw c/4 [x] [w] oc:unroll c:dot",
    "6 channels at a time": "n:block oh:block [y] kh kw c/6 [x: shared] [w: shared] c/4 ow:thread oc/4:thread "
    "oc:unroll c:dot",
    "rows that begin anywhere": "n:block oh:block [x: shared pad 1] oc/4:thread ow:thread [y] kh kw c/4 oc:unroll "
    "c:dot",
    "copied by words": "n:block oh:block [x: shared | h:unroll w:thread c/4:unroll c:dot] oc/4:thread ow:thread [y] "
    "kh kw c/4 oc:unroll c:dot",
    "copied by wide words": "fuse p = n.oh.ow\np/32:block [y] kh kw c/16 "
    "[x: shared | p:thread c/16:thread c/4:vec c:dot] c/4 p:thread oc:unroll c:dot",
    "copied by bytes": "n:block oh:block [x: shared | h:unroll w:thread c:unroll] oc/4:thread ow:thread [y] kh kw c/4 "
    "oc:unroll c:dot",
    "visited again": "n:block oh:block oc/4:thread kh kw c/8 [w] ow/2 [y] [x] c/4:unroll ow:unroll oc:unroll c:dot",
}
PACKS = ("pack w: kh kw c/4 oc c", "pack w: oc/8 kh kw c/4 oc c", "pack w: kh kw oc c", "")


@pytest.mark.parametrize("c", [8, 7])
@pytest.mark.parametrize("line", LINES)
def test_lines(line: str, c: int) -> None:
    for pack in PACKS if "c/6" not in LINES[line] else PACKS[2:]:
        made = on("cuda:sm_75", c=c, oc=8, h=4, wide=5, dataflow=f"{{ {LINES[line]}\n{pack} }}")
        assert multiplied(made) == {"dp4a_u8_i8"}, pack
        check(made)


def test_the_line_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
    block = text.split("A line of one's own:\n\n")[1].split("\n\n")[0]
    made = on("cuda:sm_80", c=64, oc=128, h=3, wide=4, dataflow=f"{{\n{block}\n}}")
    assert multiplied(made) == {"dp4a_u8_i8"}
    check(made)


def refusal(line: str, target: str = "cuda:sm_80", **changes: Any) -> str:
    """What is said of a line."""
    with pytest.raises(ConvError) as caught:
        on(target, dataflow=f"{{ {line} }}", **changes).kernels  # noqa: B018
    return str(caught.value.diagnostics[0].message)


OWN = "n:block oh:block {stage} ow:thread oc/4:thread [y] kh kw {c} oc:unroll{dot}\npack w: {pack}"


@pytest.mark.parametrize(
    ("parts", "changes", "text"),
    [
        ({"c": "c/2"}, {}, "'c:dot': cuda:sm_80 has no instruction that sums 2 products of u8 and i8 in i32."),
        ({}, {"x": "i16", "w": "i16", "rest": "pad 1; output y : i32[N, OH, OW, OC]"},
         "'c:dot': cuda:sm_80 has no instruction that sums 4 products of i16 and i16 in i32."),
        ({"c": "c/4 c:dot", "dot": ""}, {}, "'c:dot': a dot product is one loop, the innermost, over c."),
        ({"pack": "kh kw c oc"}, {},
         "'c:dot': the numbers of a dot product are neighbours in memory, and the channels of w are not."),
        ({"stage": "[x: shared | h:unroll w:thread c/2:unroll c:dot]"}, {},
         "'c:dot': a copy moves whole words, as a dot product of the line reads them."),
        ({"stage": "[x: shared | h:unroll c/4:unroll c:dot w:thread]"}, {},
         "'c:dot': a copy moves whole words, as a dot product of the line reads them."),
        ({"stage": "[x: shared | h:unroll w:thread c/4:unroll c:dot]", "c": "c", "dot": ""}, {},
         "'c:dot': a copy moves whole words, as a dot product of the line reads them."),
        ({"stage": "[x: shared by cp.async]"}, {"c": 6},
         "'[x: shared by cp.async]': cp.async copies 4, 8 or 16 bytes, an element of x is smaller."),
        ({"stage": "[x: shared pad 2 by cp.async]"}, {},
         "'[x: shared pad 2 by cp.async]': cp.async copies 4, 8 or 16 bytes, an element of x is smaller."),
        ({"stage": "[x: shared by cp.async | h:unroll w:thread c:unroll]"}, {},
         "'[x: shared by cp.async | h:unroll w:thread c:unroll]': "
         "cp.async copies 4, 8 or 16 bytes, an element of x is smaller."),
        ({"stage": "[w: shared | oc:unroll kh kw c/4:thread c:dot]", "pack": "oc/4 kh kw c/4 oc c"}, {},
         "'oc:unroll' walks across the blocks of 4 that 'pack w: oc/4 kh kw c/4 oc c' makes."),
    ],
)  # fmt: skip
def test_what_is_refused(parts: dict[str, str], changes: dict[str, Any], text: str) -> None:
    line = OWN.format(**{"stage": "", "c": "c/4", "dot": " c:dot", "pack": "kh kw c/4 oc c"} | parts)
    assert refusal(line, **changes) == text


def test_the_hint_says_how_many() -> None:
    with pytest.raises(ConvError, match="Write 'c/4' and, at the end of the line, 'c:dot'"):
        line = "n:block oh:block ow:thread oc:thread [y] kh kw c/4 c:dot kh:dot"
        on("cuda:sm_80", dataflow=f"{{ {line} }}").schedule  # noqa: B018
