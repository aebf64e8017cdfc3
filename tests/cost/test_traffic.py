"""Accesses by tensor and level tell the dataflows apart."""

from __future__ import annotations

from convjit.cost.traffic import Traffic, traffic
from convjit.dsl.parse import parse_schedule
from convjit.machine.registry import get
from convjit.nest.domain import domain
from convjit.nest.from_schedule import build
from convjit.nest.ir import Nest
from convjit.nest.parse import parse
from convjit.nest.passes import run_passes
from convjit.schedule.from_ast import phase
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor

AVX2 = get("cpu:avx2")


def nests_of(spec: ConvSpec, schedule: str, passes: bool) -> tuple[Nest, ...]:
    """As they are built, or after all passes."""
    lines = phase(parse_schedule(schedule))
    nests = build(domain(spec), lines, AVX2)
    return tuple(run_passes(n, lines, "cpu") for n in nests) if passes else nests


def test_a_vector_is_one_access_and_its_lanes_are_elements() -> None:
    nest = parse(
        "nest g\n  grid 3 threads 32\n  memory y: f32[i] of i=80\n"
        "  par i.0 in 40 step 2 of global; vec i.1 in 0..2\n    y[i.0+i.1] = 1:f32 when 0<=i.0<80"
    )
    assert traffic(nest) == (Traffic("y", "y", "memory", 32, 0, 40, 0, 80),)


# --- one convolution under every dataflow -----------------------------------------------------------------------

DATAFLOWS = {
    "output": "oc/16 oh ow/4 [y] kh kw c ow:unroll oc/8:unroll oc:simd",
    "weight": "oc/16 kh kw c/4 [w] oh ow [y] c:unroll oc/8:unroll oc:simd",
    "input": "oh/2 ow/2 c [x] oc/8 [y] {oh+kh}:unroll {ow+kw}:unroll kh:unroll kw:unroll oc:simd",
    "row": "oc/16 c kh [w] oh ow/4 [y] kw:unroll ow:unroll oc/8:unroll oc:simd",
}


def eight_by_eight() -> ConvSpec:
    """8 x 8 x 8 -> 16 channels, 3 x 3."""
    return ConvSpec(
        "same",
        (
            Tensor("x", "input", "f32", ("N", "H", "W", "C"), (1, 8, 8, 8)),
            Tensor("w", "weight", "f32", ("KH", "KW", "IC", "OC"), (3, 3, 8, 16)),
            Tensor("y", "output", "f32", ("N", "OH", "OW", "OC"), (1, 8, 8, 16)),
        ),
        (1, 1),
        (1, 1),
        ((1, 1), (1, 1)),
    )


def test_every_dataflow_keeps_what_its_name_says() -> None:
    rows = {}
    for name, schedule in DATAFLOWS.items():
        (nest,) = nests_of(eight_by_eight(), schedule, passes=True)
        rows[name] = {r.tensor: r for r in traffic(nest)}
    taps = 22 * 22  # (rows x taps) x (columns x taps) inside the image
    assert rows["output"]["y"].loads == 0
    assert rows["output"]["y"].stores == 8 * 8 * 2
    assert rows["output"]["x"].loads == taps * 8
    assert rows["weight"]["w"].loads == 9 * 8 * 2  # every vector of the weight once
    assert rows["weight"]["x"].loads == taps * 8
    assert rows["weight"]["y"].loads == taps * 2 * 2  # visited for each tap and half of the channels
    assert rows["row"]["w"].loads == 9 * 8 * 2
    assert rows["row"]["y"].loads < rows["weight"]["y"].loads * 2
    fewest = {tensor: min(r[tensor].loads for r in rows.values()) for tensor in "xwy"}
    assert rows["input"]["x"].loads == fewest["x"] < rows["output"]["x"].loads
    assert rows["input"]["w"].loads == max(r["w"].loads for r in rows.values())
    every = [tuple((r.tensor, r.loads, r.stores) for r in by_tensor.values()) for by_tensor in rows.values()]
    assert len(set(every)) == 4


def test_levels_and_bytes() -> None:
    schedule = "oh/4 [x: scratch] oc/16 oh ow/4 [y] kh kw c ow:unroll oc/8:unroll oc:simd"
    (nest,) = nests_of(eight_by_eight(), schedule, passes=True)
    rows = {(r.tensor, r.level): r for r in traffic(nest)}
    copied, read = rows["x", "memory"], rows["x", "scratch"]
    assert copied.elements_loaded == 2 * 5 * 8 * 8  # two boxes of six rows, one of them outside the image
    assert read.elements_stored == 2 * 6 * 10 * 8
    assert read.elements_loaded == 8 * 8 * 9 * 8
    assert copied.bytes == 2 * 5 * 8 * 8 * 4
