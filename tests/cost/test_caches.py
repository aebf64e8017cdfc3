"""The model of caches: nests whose traffic is known, a simulation of small caches, and that larger ones never get more."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.api import compilation, read
from convjit.cost.caches import CacheFlow, cache_flows
from convjit.nest.ir import Nest
from convjit.nest.parse import parse
from tests.cost.lru import lines, machine_with, simulated

AVX2 = machine.get("cpu:avx2")
WORDS = ("output_stationary", "weight_stationary", "input_stationary", "row_stationary")


def layer(word: str, size: int, c: int, oc: int, target: str = "cpu:avx2", pad: str = "same") -> Nest:
    """The nest of a 3 x 3 layer in f32 that multiplies."""
    text = (
        f"conv l {{ input x : f32[N=1, H={size}, W={size}, C={c}]; weight w : f32[KH=3, KW=3, OC={oc}, IC={c}]\n"
        f"pad {pad}; dataflow {word} }}"
    )
    ((spec, syntax),) = read(text).values()
    return compilation(spec, syntax, target).nests[-1]


def flows(nest: Nest, *sizes: int) -> dict[tuple[str, str], tuple[int, int]]:
    """By tensor and inner level, in caches of these sizes."""
    found = cache_flows(nest, machine_with(AVX2, *sizes))
    return {(f.tensor, f.inner): (f.read, f.written) for f in found}


@pytest.mark.parametrize("word", ["output_stationary", "weight_stationary", "row_stationary"])
def test_where_everything_fits_every_byte_comes_once(word: str) -> None:
    found = flows(layer(word, 16, 16, 32), 1 << 20)
    assert found["x", "L1"] == (16 * 16 * 16 * 4, 0)
    assert found["w", "L1"] == (9 * 16 * 32 * 4, 0)
    assert found["y", "L1"] == (0, 16 * 16 * 32 * 4)  # sums that were put to 0 here are not read from memory


STREAM = """nest a
  memory x: f32[i] of i=1048576
  memory y: f32[i] of i=1048576
  memory t: f32[k] of k=65536
  for r.0 in 0..{again}; for i.0 in 0..1048576 step 8; simd i.1 in 0..8
    y[i.0+i.1] = mul:f32(x[i.0+i.1], t[{index}])"""


def test_streams() -> None:
    nest = parse(STREAM.format(again=3, index=0))
    assert flows(nest, 32 << 10) == {("x", "L1"): (3 << 22, 0), ("t", "L1"): (3 * 64, 0), ("y", "L1"): (0, 3 << 22)}
    assert flows(nest, 64 << 20) == {("x", "L1"): (1 << 22, 0), ("t", "L1"): (64, 0), ("y", "L1"): (0, 1 << 22)}


def test_an_index_that_jumps_takes_a_line_each_time() -> None:
    text = "nest a\n  memory x: f32[i, j] of i=64 j=64\n  memory y: f32[] of\n  for {}; for {}\n    y[] += x[i.0, j.0] * x[i.0, j.0]"
    rows, columns = "i.0 in 0..64", "j.0 in 0..64"
    assert flows(parse(text.format(rows, columns)), 1 << 10)["x", "L1"][0] == 64 * 64 * 4
    assert flows(parse(text.format(columns, rows)), 1 << 10)["x", "L1"][0] == 64 * 64 * 64
    assert flows(parse(text.format(columns, rows)), 8 << 10)["x", "L1"][0] == 64 * 64 * 4  # 64 lines wait for their turn
    assert flows(parse(text.format(columns, f"{rows} step 2")), 8 << 10)["x", "L1"][0] == 32 * 64 * 4


@pytest.mark.parametrize("word", WORDS)
def test_a_larger_cache_never_gets_more(word: str) -> None:
    nest = layer(word, 28, 32, 32)
    before: dict[str, int] | None = None
    for size in (1 << n for n in range(6, 24)):
        found = {f.tensor: f.bytes for f in cache_flows(nest, machine_with(AVX2, size))}
        assert before is None or all(found[t] <= before[t] for t in found), size
        before = found


def test_levels_farther_out_get_less() -> None:
    found = flows(layer("weight_stationary", 28, 32, 32), 1 << 10, 1 << 14, 1 << 22)
    for tensor in "xwy":
        steps = [sum(found[tensor, level]) for level in ("L1", "L2", "L3")]
        assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize("word", WORDS)
def test_beside_a_simulation(word: str) -> None:
    """Of all bytes together: exact or nearly so, but where a footprint is about as large as the cache."""
    nest = layer(word, 6, 8, 16)
    trace = list(lines(nest))
    ratios = []
    for size in (1 << n for n in range(8, 15)):
        exact = sum(map(sum, simulated(trace, size).values()))
        ratios.append(sum(f.bytes for f in cache_flows(nest, machine_with(AVX2, size))) / exact)
    assert all(0.4 < ratio < 2.5 for ratio in ratios)
    assert sum(0.8 < ratio < 1.25 for ratio in ratios) >= len(ratios) - 1
    assert ratios[-2:] == [1.0, 1.0]  # everything fits


def test_open_sizes_and_digits_of_a_fused_axis() -> None:
    text = (
        "conv l {{ input x : f32[N={}, H=8, W=8, C=16]; weight w : f32[KH=1, KW=1, OC=16, IC=16]\n"
        "dataflow {{ {} [y] c p:unroll oc/8:unroll oc:simd }} }}"
    )
    for batch, line in (("3", "fuse p = n.oh.ow\n p/5"), ("?", "fuse p = oh.ow\n n p/5")):
        ((spec, syntax),) = read(text.format(batch, line)).values()
        nest = compilation(spec, syntax, "cpu:avx2").nests[-1]
        found = {f.tensor: f for f in cache_flows(nest, machine_with(AVX2, 1 << 20), {"N": 3} if batch == "?" else {})}
        assert (found["x"].read, found["y"].written) == (3 * 64 * 16 * 4, 3 * 64 * 16 * 4)


def test_a_gpu_has_its_own_levels() -> None:
    nest = layer("input_stationary", 32, 32, 64, "cuda:sm_80")
    found = {(f.tensor, f.inner, f.outer): f for f in cache_flows(nest, machine.get("cuda:sm_80"))}
    assert {key[1:] for key in found} == {("threads", "L2"), ("L2", "memory")}
    assert found["x", "L2", "memory"].read == 32 * 32 * 32 * 4
    assert found["x", "threads", "L2"].read > found["x", "L2", "memory"].read  # halos, and every block of channels
    assert found["y", "threads", "L2"] == CacheFlow("y", "threads", "L2", 0, 32 * 32 * 64 * 4)


def test_threads_that_are_numbered_through_all_blocks_read_side_by_side() -> None:
    nest = parse(
        "nest g\n  grid 8 threads 32\n  memory x: f32[i, j] of i=8 j=32\n  memory y: f32[i, j] of i=8 j=32\n"
        "  par i.0 in 8, j.0 in 32 of global\n    y[i.0, j.0] = x[i.0, j.0]"
    )
    found = {(f.tensor, f.inner): (f.read, f.written) for f in cache_flows(nest, machine.get("cuda:sm_80"))}
    assert found["x", "threads"] == (8 * 32 * 4, 0)
    assert found["y", "threads"] == (0, 8 * 32 * 4)
