"""Lists of the weights that are not 0: every form computes what the reference says, whatever is 0."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit.api import compilation, read
from convjit.cost.traffic import predict
from convjit.errors import ConvError
from convjit.kernel.interpret import interpret as interpret_kernel
from convjit.machine.machine import Machine
from convjit.machine.registry import get
from convjit.nest.interpret import interpret
from convjit.nest.parse import parse
from convjit.nest.verify import verify
from convjit.pipeline import Compilation
from convjit.schedule.break_even import SURE, cost
from convjit.schedule.choose import choose
from convjit.schedule.dataflow.zero_skipping import impossible
from convjit.schedule.density import of_weight
from convjit.schedule.prove import density
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.unsupported import refuse
from convjit.targets import CALLABLES
from tests.compiled import call, compiled
from tests.conftest import processor_flags
from tests.convs import conv
from tests.fuzz import Arrays, named, same
from tests.quantised_programs import arrays, program
from tests.random_specs import random_arrays, random_sizes, random_spec

SHARES = (0.0, 0.3, 0.7, 0.9, 1.0)


def draw(seed: int) -> tuple[ConvSpec, Arrays, dict[str, int]]:
    """A convolution whose taps can be walked, and arrays; its weights are 0 in part, some output channels as a whole."""
    r = random.Random(seed)
    while True:
        spec = random_spec(r)
        if not impossible(spec):
            break
    spec = replace(spec, dataflow="zero_skipping")
    sizes = random_sizes(r, spec)
    arrays = random_arrays(seed, spec, sizes)
    w, rng = arrays["w"], np.random.default_rng(seed)
    w[rng.random(w.shape) < r.choice(SHARES)] = 0
    empty = rng.random(spec.out_channels) < r.choice([0, 0, 0.3])
    np.moveaxis(w, spec.weight.axes.index("OC"), 0)[empty] = 0
    return spec, arrays, sizes


def check(seed: int, target: str) -> None:
    """The nests, the kernels and the machine code."""
    spec, given, sizes = draw(seed)
    forms(spec, given, sizes, get(target))


def forms(spec: ConvSpec, arrays: Arrays, sizes: dict[str, int], machine: Machine) -> None:
    """Each form of a convolution, run on arrays for all of its tensors."""
    refuse(spec)
    c = Compilation(spec, machine)
    want = reference(spec, **{t.name: arrays[t.name] for t in spec.arguments})
    flags = set(machine.required) <= processor_flags()
    library = compiled(c.kernels, machine) if flags else None
    for form in ("nest", "kernel", *(["code"] if library else [])):
        memory = {**arrays, "y": np.full_like(arrays["y"], 99)}
        for nest, kernel in zip(c.nests, c.kernels, strict=True):
            assert parse(str(verify(nest))) == nest
            known = {a: arrays["y"].shape[spec.output.axes.index(a)] for a in spec.output.axes} | sizes
            parts = {w.name: (0, w.extent.value(known)) for w in nest.workers}
            for b in nest.buffers:
                if b.level == "memory" and b.name not in memory:
                    assert b.layout
                    counts = [known[n] if isinstance(n, str) else n for n in b.layout.counts()]
                    memory[b.name] = np.full(int(np.prod(counts)), 55, dtype_of(b.dtype))
            if form == "nest":
                interpret(nest, memory, sizes, parts)
            elif form == "kernel":
                given = {p.name: memory[p.name] for p in kernel.parameters}
                interpret_kernel(kernel, machine, given, named(sizes), parts)
            elif library:
                call(library, kernel, memory, named(sizes), parts)
        assert same(spec, memory["y"], want), f"{form} is wrong"


def dtype_of(dtype: str) -> np.dtype[np.generic]:
    """NumPy's."""
    return np.dtype({"u8": "u1", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "f32": "f4", "f64": "f8"}[dtype])


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512", "cpu:avx512_vnni"])
@pytest.mark.parametrize("seed", range(4))
def test_random_convolutions(seed: int, target: str) -> None:
    check(10 * seed + len(target), target)


@pytest.mark.sweep
@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512", "cpu:avx512_vnni"])
def test_many_random_convolutions(target: str) -> None:
    for seed in range(1000, 1200):
        check(seed, target)


LAYER = """conv a {{
    input x : f32[{x}]
    weight w : f32[OC=24, KH=3, KW=3, IC=32] {sparse}
    bias b : f32[OC]
    output y : f32[{y}]
    pad same; stride {stride}; then relu
    {more}
}}"""
LAST = {"x": "N=2, H=9, W=11, C=32", "y": "N, OH, OW, OC"}
FIRST = {"x": "N=2, C=32, H=9, W=11", "y": "N, OC, OH, OW"}
OPEN = {"x": "N=?, H=9, W=11, C=32", "y": "N, OH, OW, OC"}


def layer(axes: dict[str, str] = LAST, sparse: str = "sparse", stride: int = 1, more: str = "") -> str:
    return LAYER.format(**axes, sparse=sparse, stride=stride, more=more)


def square(size: int, channels: int) -> ConvSpec:
    """A square 3x3 layer of f32 with as many output channels as input channels, walked by a list."""
    return replace(conv((size, size), (channels, channels), (3, 3)), dataflow="zero_skipping")


def numbers(share: float, axes: dict[str, str] = LAST) -> list[np.ndarray[Any, Any]]:
    """Input, weight with so many zeros, bias."""
    stream = np.random.default_rng(0)
    shape = (2, 9, 11, 32) if axes is not FIRST else (2, 32, 9, 11)
    x, w = stream.integers(-4, 5, shape), stream.integers(1, 5, (24, 3, 3, 32))
    w[stream.random(w.shape) < share] = 0
    return [a.astype(np.float32) for a in (x, w, stream.integers(-4, 5, 24))]


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("axes", [LAST, FIRST, OPEN], ids=["last", "first", "open"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_list_is_made_in_a_call_or_when_the_weight_is_bound(axes: dict[str, str], stride: int) -> None:
    text = layer(axes, stride=stride, more="dataflow zero_skipping")
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    x, w, b = numbers(0.8, axes)
    want = convjit.reference(text, x, w, b)
    np.testing.assert_array_equal(kernel(x, w, b), want)
    bound = kernel.bind(w, b)
    for threads in (1, 2, 3):
        bound.threads = threads
        np.testing.assert_array_equal(bound(x), want)


@pytest.mark.isa("avx2", "fma")
def test_the_schedule_is_read_back() -> None:
    kernel: Any = convjit.compile(layer(stride=2, more="dataflow zero_skipping"), target="cpu:avx2")
    again: Any = convjit.compile(layer(stride=2, more=kernel.dump("schedule")), target="cpu:avx2")
    assert "c:list kh:list kw:list" in kernel.dump("schedule") and "pack x: n c h w w/2" in kernel.dump("schedule")
    for stage in ("schedule", "nest", "kernel"):
        assert again.dump(stage) == kernel.dump(stage)


@pytest.mark.isa("avx2", "fma")
def test_auto_takes_the_list_where_enough_is_zero() -> None:
    kernel: Any = convjit.compile(layer(), target="cpu:avx2")
    assert "list" not in kernel.dump("schedule")
    assert "the weight's zeros are multiplied: how many there are is known when it is bound" in kernel.explain()
    for share, taken in ((0.95, True), (0.0, False)):
        x, w, b = numbers(share)
        bound = kernel.bind(w, b)
        assert ("c:list" in bound.dump("schedule")) is taken
        assert bound.density.of(1) == np.count_nonzero(w) / w.size
        words = "walked by a list" if taken else "all are multiplied"
        assert re.search(rf"zeros: \d+\.\d% of the weight's numbers are not 0, .*{words}: by the model .* below \d+\.\d%", bound.explain())
        np.testing.assert_array_equal(bound(x), convjit.reference(layer(), x, w, b))


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("largest", [60, 127])
def test_what_is_said_of_zeros_is_what_was_taken(largest: int) -> None:
    """Weights that vpmaddubsw multiplies exactly have another break-even density: the certificate counts in both."""
    text = """conv a { input x : u8[N=1, H=14, W=14, C=64]; weight w : i8[OC=64, KH=3, KW=3, IC=64] sparse
        output y : i32[N, OH, OW, OC]; pad same }"""
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    rng = np.random.default_rng(0)
    seen = set()
    for share in (0.02, 0.15, 0.5):
        kept = rng.random((64, 3, 3, 64)) < share
        bound = kernel.bind((rng.integers(1, largest, kept.shape, endpoint=True) * kept).astype(np.int8))
        taken = ":list" in bound.dump("schedule")
        assert ("walked by a list" in bound.explain()) is taken
        seen.add(taken)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("target", "size", "channels", "rows", "block"),
    [("cpu:avx512", 56, 64, 5, 16), ("cpu:avx512", 28, 128, 10, 16), ("cpu:avx512", 14, 256, 14, 16), ("cpu:avx512", 7, 512, 7, 64),
     ("cpu:avx2", 56, 64, 2, 32), ("cpu:avx2", 14, 256, 7, 32)],
)  # fmt: skip
def test_a_block_of_channels_stays_in_the_first_cache(target: str, size: int, channels: int, rows: int, block: int) -> None:
    """With fewer rows in a tile, where they do not with all that the registers hold."""
    schedule = str(choose(square(size, channels), get(target)))
    assert f"oh/{rows}:thread" in schedule and f" c/{block} oc [y] c:list" in schedule


def test_a_tile_without_a_block_keeps_its_rows() -> None:
    """Two channels: no block of them is worth a list of its own."""
    assert " oh/3:thread" in str(choose(square(28, 2), get("cpu:avx2")))


ONE = """conv a {{ input x : i8[N=3, W=2, C=8]; weight w : i8[OC=33, KW=1, IC=8]; output y : i32[N, OW, OC]; stride 3; pad ((0, 1))
    {more} }}"""


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512", "cpu:avx512_vnni", "cpu:avx2_vnni"])
def test_one_position_has_no_lanes_and_no_dot_product(target: str) -> None:
    ((spec, _),) = read(ONE.format(more="dataflow zero_skipping")).values()
    compilation_ = Compilation(spec, get(target))
    assert ":dot" not in str(compilation_.schedule)
    given = arrays(spec, 0)
    run: Any = CALLABLES["interpret"](compilation_, None)
    np.testing.assert_array_equal(run(**given), reference(spec, **given))


def test_lanes_of_an_axis_of_one_are_none() -> None:
    lines = "n oc [y] c/2:list kw:list ow/8:unroll ow:simd c:dot\npack w: list as i16\npack x: n c/2 w w/3 c as i16"
    with pytest.raises(ConvError, match="cpu:avx2 has no instruction that sums 2 products of i16 and i16 in i32"):
        convjit.compile(ONE.format(more=f"dataflow {{ {lines} }}"), target="cpu:avx2")


def test_auto_takes_less_than_the_model_gives() -> None:
    figures = cost(square(14, 256), get("cpu:avx2"))
    assert figures.break_even == pytest.approx(SURE * (figures.dense - figures.empty) / figures.full)


@pytest.mark.isa("avx2", "fma")
def test_a_weight_that_is_not_declared_sparse_is_not_looked_at() -> None:
    kernel: Any = convjit.compile(layer(sparse=""), target="cpu:avx2")
    _, w, b = numbers(1.0)
    bound = kernel.bind(w, b)
    assert bound.density is None and "c:list" not in bound.dump("schedule") and "zeros" not in bound.explain()


@pytest.mark.isa("avx2", "fma")
def test_where_a_list_cannot_walk_the_weight_auto_multiplies_all() -> None:
    text = layer({"x": "N=1, H=9, W=?, C=32", "y": "N, OH, OW, OC"})
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    x, w, b = numbers(1.0)
    bound = kernel.bind(w, b)
    assert "zeros are multiplied: a size along space is open" in bound.explain()
    np.testing.assert_array_equal(bound(x[:1]), convjit.reference(text, x[:1], w, b))
    with pytest.raises(ConvError, match="zero_skipping cannot be realised here: a size along space is open"):
        convjit.compile(layer({"x": "N=1, H=9, W=?, C=32", "y": "N, OH, OW, OC"}, more="dataflow zero_skipping"), target="cpu:avx2")


def test_one_product_needs_no_list() -> None:
    text = "conv a {{ input x : f32[N=1, W=4, C=1]; weight w : f32[OC=2, KW=1, IC=1] sparse; {} }}"
    with pytest.raises(ConvError, match="every output has one product"):
        convjit.compile(text.format("dataflow zero_skipping"), target="cpu:scalar")
    assert "every output has one product" in convjit.compile(text.format(""), target="cpu:scalar").explain()  # type: ignore[union-attr]


def test_a_gpu_multiplies_zeros() -> None:
    c = compilation(*read(layer())["a"], "cuda:sm_80")
    assert c.schedule.reasons[0].startswith("the weight's zeros are multiplied: the threads of a warp")
    with pytest.raises(ConvError, match=r"The dataflow zero_skipping cannot be realised on cuda:sm_80\."):
        compilation(*read(layer(more="dataflow zero_skipping"))["a"], "cuda:sm_80").schedule  # noqa: B018


def test_zero_times_infinity_is_skipped() -> None:
    text = layer(more="dataflow zero_skipping")
    x, w, b = numbers(1.0)
    x[0, 0, 0, 0], x[1, 3, 3, 1] = np.inf, np.nan
    kernel: Any = convjit.compile(text, target="cpu:scalar")
    np.testing.assert_array_equal(kernel(x, w, b), np.broadcast_to(np.maximum(b, 0), (2, 9, 11, 24)))


@pytest.mark.parametrize("target", ["cpu:scalar", pytest.param("cpu:avx2", marks=pytest.mark.isa("avx2", "fma")), "interpret"])
@pytest.mark.parametrize("seed", range(3))
def test_quantised_convolutions(seed: int, target: str) -> None:
    """Zero points, scales, profiles and `compute`: borders hold what counts as 0."""
    at = seed + 20 * len(target)
    text = re.sub(r"dataflow \w+", "dataflow zero_skipping", program(at))
    ((spec, _),) = read(text).values()
    given = arrays(spec, at)
    w = given["w"]
    w[np.random.default_rng(at).random(w.shape) < 0.7] = spec.weight.zero if isinstance(spec.weight.zero, int) else 0
    kernel: Any = convjit.compile(text, target=target)
    np.testing.assert_array_equal(kernel(*given.values()), convjit.reference(text, *given.values()))


SMALL = """conv a {{
    input x : f32[N=1, H=5, W=9, C=4]
    weight w : f32[OC=12, KH=3, KW=3, IC=4]
    output y : f32[N, OH, OW, OC]
    pad same
    dataflow {{
        {}
    }}
}}"""
WRITTEN = {
    "a vector of output channels is a block": "oh ow oc/8 [y] c:list kh:list kw:list oc:simd; pack x: n h w c",
    "several vectors are": "n oh:thread ow oc/16 [y] kh:list kw:list c:list oc/8:unroll oc:simd; pack x: n h w c",
    "several channels of the input are": "n oc oh ow/8 [y] c/4:list kh:list kw:list c:unroll ow:simd; pack x: n c/4 h w c",
    "rows of taps are": "n oc oh ow/8 [y] c:list kh:list kw:unroll ow:simd; pack x: n c h w",
    "a list for each tap": "n oh kh kw oc [y] c:list ow/8:unroll ow:simd; pack x: n c h w",
    "a list for each block of channels": "n oc/8:thread oh/4 [y: scratch | oc ow oh] c/2 oc [y] kh:list kw:list c:list oh:unroll ow/8:unroll ow:simd; pack x: n h c w",
    "a list of channels alone, taps written out": "n oc oh ow/8 [y] c:list kh:unroll kw:unroll ow:simd; pack x: n h w c",
    "rows in lanes": "n oc ow oh/8:thread [y] c:list kh:list kw:list oh:simd; pack x: n c w h",
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_written_lists(name: str) -> None:
    """A block is what stands inside a list, a row what stands outside."""
    text = SMALL.format(WRITTEN[name].replace("; ", "\n") + "\npack w: list")
    ((spec, _),) = read(text).values()
    given = random_arrays(1, spec, {})
    given["w"][np.random.default_rng(0).random(given["w"].shape) < 0.7] = 0
    given["w"][:8, 1] = 0
    forms(spec, given, {}, get("cpu:avx2"))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_one_row_and_one_channel(stride: int) -> None:
    """Lanes run past the end of the only row: it is longer, by places of each phase."""
    text = f"conv a {{ input x : f32[N=3, W=29, C=1]; weight w : f32[OC=2, KW=3, IC=1]; stride {stride}; dataflow zero_skipping }}"
    ((spec, _),) = read(text).values()
    forms(spec, random_arrays(2, spec, {}), {}, get("cpu:avx2"))


@pytest.mark.parametrize("types", ["bf16", "f16", "f32 bf16"])
def test_short_floats(types: str) -> None:
    """Small whole numbers are exact in all of them."""
    dtype, _, compute = types.partition(" ")
    text = f"""conv a {{
        input x : {dtype}[N=1, H=5, W=9, C=6]
        weight w : {dtype}[OC=10, KH=3, KW=3, IC=6]
        output y : f32[N, OH, OW, OC]
        pad same; dataflow zero_skipping{f"; compute {compute}" if compute else ""}
    }}"""
    ((spec, _),) = read(text).values()
    given = random_arrays(3, spec, {})
    given["w"].reshape(-1)[::3] = 0
    kernel: Any = convjit.compile(text, target="cpu:scalar")
    np.testing.assert_array_equal(kernel(given["x"], given["w"]), convjit.reference(text, given["x"], given["w"]))


def test_a_list_counts_to_two_to_the_31() -> None:
    text = "conv a { input x : f32[N=1, W=4, C=65536]; weight w : f32[OC=65536, KW=1, IC=65536]; dataflow zero_skipping }"
    with pytest.raises(ConvError, match="The weight has 4294967296 blocks .*; a list counts to 2147483647"):
        compilation(*read(text)["a"], "cpu:scalar").nests  # noqa: B018


def test_density_of_runs_of_channels() -> None:
    ((spec, _),) = read("conv a { input x : i8[N=1, W=4, C=5]; weight w : i8[KW=2, OC=3, IC=5] zero 1 }").values()
    w = np.ones((2, 3, 5), np.int8)
    w[0, 0, 1], w[1, 2, 4] = 0, 5
    found = of_weight(spec, w, 1)
    assert found.shares == (2 / 30, 2 / 18, 2 / 12)
    assert density(spec, {"w": w}) is None  # it is not declared sparse
    assert density(replace(spec, tensors=tuple(replace(t, sparse=t.name == "w") for t in spec.tensors)), {}) is None


def test_as_many_entries_as_numbers_are_counted() -> None:
    """Without zeros the predicted accesses are those of the interpreter."""
    spec, arrays, sizes = draw(7)
    arrays["w"][...] = 3
    c = Compilation(spec, get("cpu:avx2"))
    memory = dict(arrays)
    for nest in c.nests:
        for b in nest.buffers:
            if b.level == "memory" and b.name not in memory:
                assert b.layout
                memory[b.name] = np.zeros(b.layout.elements(), dtype_of(b.dtype))
        counted = interpret(nest, memory, sizes)
        assert predict(nest, sizes).accesses == counted.accesses, nest.name
