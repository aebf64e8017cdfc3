"""A nest prints, and what is printed is read back as the same nest."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lark.exceptions import UnexpectedInput

from convjit.nest.affine import Affine, Limit, fixed_bound, number, var
from convjit.nest.ir import (
    KINDS,
    ROWS,
    Apply,
    Buffer,
    Expr,
    Grid,
    Guard,
    If,
    Index,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Number,
    OpenSize,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
    WorkerAxis,
)
from convjit.nest.layout import Layout
from convjit.nest.parse import parse

ROW = var("oh.0") + var("kh.0") * 2 - 1
INSIDE = Guard(ROW, var("H"))
X = Load("x", (number(0), ROW), (INSIDE,))
Y = Load("y.r", (var("ow.1"),))
W = Load("w", (var("oc.0") + var("oc.1"),))


def in_nest(*body: Stmt) -> Nest:
    """A nest with nothing but statements."""
    return Nest("a", (), body)


STATEMENTS: list[tuple[Stmt, str]] = [
    (Store(Y, Number(0.0, "f32")), "y.r[ow.1] = 0:f32"),
    (Store(Y, Number(-2.5e-7, "f64")), "y.r[ow.1] = -2.5e-07:f64"),
    (Store(Y, Number(float("inf"), "f32")), "y.r[ow.1] = inf:f32"),
    (Store(Load("scalar", ()), W), "scalar[] = w[oc.0+oc.1]"),
    (Store(Y, Index(ROW, "i32")), "y.r[ow.1] = index:i32(2*kh.0+oh.0-1)"),
    (Store(Y, Apply("neg", (Index(number(3), "i32"),), "i32")), "y.r[ow.1] = neg:i32(index:i32(3))"),
    (Read("tap.0", Load("w.taps", (var("entry.0"),)), 24), "read tap.0 = w.taps[entry.0] below 24"),
    (MulAdd(Y, X, W), "y.r[ow.1] += (x[0, 2*kh.0+oh.0-1] inside 0<=2*kh.0+oh.0-1<H) * w[oc.0+oc.1]"),
    (
        MulAdd(
            Y,
            Load("x", (ROW,), (INSIDE, Guard(var("n"), number(3))), 128.0),
            W,
            (Guard(var("n"), number(3)),),
        ),
        "y.r[ow.1] += (x[2*kh.0+oh.0-1] inside 0<=2*kh.0+oh.0-1<H and 0<=n<3 else 128) * w[oc.0+oc.1] when 0<=n<3",
    ),
    (
        Store(Load("x.s", (var("x~c.0"),), slot=var("step") + 3), W, (), "cp.async"),
        "x.s@step+3[x~c.0] = w[oc.0+oc.1] by cp.async",
    ),
    (
        Store(Y, Apply("max", (Apply("add", (Y, W), "f32"), Number(0.0, "f32")), "f32")),
        "y.r[ow.1] = max:f32(add:f32(y.r[ow.1], w[oc.0+oc.1]), 0:f32)",
    ),
    (Prefetch(W), "prefetch w[oc.0+oc.1]"),
    (Sync("barrier"), "barrier"),
    (Sync("commit"), "commit"),
    (Sync("wait"), "wait 0"),
    (Sync("wait", 2), "wait 2"),
    (
        Let(("n", "oh", "ow"), (number(2), var("OH"), number(7)), (1, 4, 1), var("p.0") * 3),
        "let n in 2, oh in OH step 4, ow in 7 of 3*p.0",
    ),
]


@pytest.mark.parametrize(("stmt", "text"), STATEMENTS)
def test_statement(stmt: Stmt, text: str) -> None:
    assert str(stmt) == text
    assert parse(f"nest a\n  {text}") == in_nest(stmt)


def loop(kind: str, *body: Stmt) -> Loop:
    return Loop("oc.0", fixed_bound(0), fixed_bound(128), 32, kind, body)


@pytest.mark.parametrize("kind", KINDS)
def test_loop_of_every_kind(kind: str) -> None:
    word = "for" if kind == "serial" else kind
    nest = in_nest(loop(kind, Sync("barrier")))
    assert str(nest) == f"nest a\n  {word} oc.0 in 0..128 step 32\n    barrier"
    assert str(nest.body[0]) == f"{word} oc.0 in 0..128 step 32 …"
    assert parse(str(nest)) == nest


def test_limits() -> None:
    low = (Limit(number(0)), Limit(ROW, 2, 3), Limit(var("oh.begin")))
    high = (Limit(var("OH") - var("oh.0"), 1, 2), Limit(number(-4)))
    nest = in_nest(Loop("a.0", low, high, 1, "worker", ()))
    line = "worker a.0 in max(0, 3*ceil((2*kh.0+oh.0-1)/2), oh.begin)..min(2*ceil((OH-oh.0)/1), -4)"
    assert str(nest) == f"nest a\n  {line}"
    assert parse(str(nest)) == nest


def test_chain_and_its_end() -> None:
    inner = Loop("ow.0", fixed_bound(0), fixed_bound(4), 1, "unroll", (Sync("barrier"), Prefetch(W)))
    digits = Let(("p.1",), (number(4),), (8,), var("warp")), Let(("p.2",), (number(8),), (1,), var("lane"))
    nest = in_nest(loop("serial", Par(digits, (If(INSIDE, (inner,)),))), Sync("commit"))
    assert str(nest).splitlines() == [
        "nest a",
        "  for oc.0 in 0..128 step 32; par p.1 in 4 step 8 of warp | p.2 in 8 of lane; if 0<=2*kh.0+oh.0-1<H",
        "    unroll ow.0 in 0..4",
        "      barrier",
        "      prefetch w[oc.0+oc.1]",
        "  commit",
    ]
    assert parse(str(nest)) == nest
    assert str(nest.body[0].body[0]) == "par p.1 in 4 step 8 of warp | p.2 in 8 of lane …"  # type: ignore[union-attr]


def test_heads() -> None:
    blocked = Layout((("oc", 32), ("kh", 1), ("oc", 1)), (("oc", 47), ("kh", 3)), 4)
    buffers = (
        Buffer("x", ("n", "h", "c"), "u8", "memory", Layout((("c", 1), ("n", 1)), (("c", 3), ("n", "N")))),
        Buffer("in", ("n", "h"), "f32", "memory", Layout((("h", 1), ("n", 1)), (("n", "N"), ("h", 1)))),
        Buffer("w.packed", ("oc", "kh"), "bf16", "memory", blocked, packed=True),
        Buffer("x.s", ("p",), "f32", "shared", Layout((("p", 1),), (("p", 64),)), True, 3),
        Buffer("scalar", (), "f32", "scratch", Layout((), ())),
        Buffer("y.r", ("ow.1", "oc~1"), "f32", "registers"),
    )
    sizes = (OpenSize("N"), OpenSize("H"), OpenSize("OH", "H", -2, 3))
    workers = (WorkerAxis("oh", var("OH"), 2),)
    nest = Nest("name", buffers, (), sizes, workers, Grid((number(3), var("N")), 128, 2))
    assert str(nest).splitlines() == [
        "nest name",
        "  size N",
        "  size H",
        "  size OH = (H-2)/3+1",
        "  workers oh to OH step 2",
        "  grid 3, N threads 128 min_blocks 2",
        "  memory x: u8[n, h, c] of c=3 n=N",
        "  memory in: f32[n, h] of n=N h=1 as h n",
        "  memory w.packed: bf16[oc, kh] packed pad 4 of oc=47 kh=3 as oc/32 kh oc",
        "  shared x.s: f32[p] packed ring 3 of p=64",
        "  scratch scalar: f32[] of",
        "  registers y.r: f32[ow.1, oc~1]",
    ]
    assert parse(str(nest)) == nest


def test_names_that_are_words_of_the_text() -> None:
    for name in ("for", "in", "step", "when", "wait", "let", "if", "par", "max", "inside", "prefetch"):
        load = Load(name, (number(0),))
        nest = in_nest(Store(load, Apply("add", (load, load), "f32")), MulAdd(load, load, load), Prefetch(load))
        assert parse(str(nest)) == nest


@pytest.mark.parametrize("text", ["", "nest", "nest a\n  y = 3", "nest a\n  for i in 0..3 x[0] = y[0]", "nest a\nb"])
def test_what_is_no_nest(text: str) -> None:
    with pytest.raises(UnexpectedInput):
        parse(text)


# --- any nest ---------------------------------------------------------------------------------------------------

variables = st.sampled_from(["n.0", "oh.0", "ow.1", "x~c.0", "OH", "oh.begin", "step", "oc.1.t"])
affines = st.builds(
    lambda terms, const: Affine(tuple(sorted((n, c) for n, c in terms.items() if c)), const),
    st.dictionaries(variables, st.integers(-9, 9), max_size=3),
    st.integers(-20, 20),
)
guards = st.lists(st.builds(Guard, affines, affines), max_size=2).map(tuple)
bounds = st.lists(st.builds(Limit, affines, st.integers(1, 4), st.integers(-2, 4)), min_size=1, max_size=3).map(tuple)
buffers = st.sampled_from(["x", "w.packed", "y.r", "x.s", "for"])
indices = st.lists(affines, max_size=3).map(tuple)
numbers = st.one_of(st.integers(-9, 9).map(float), st.floats(allow_nan=False))
loads = st.builds(Load, buffers, indices, guards, numbers, st.one_of(st.none(), affines))
types = st.sampled_from(["f32", "u8", "bf16"])
exprs: st.SearchStrategy[Expr] = st.recursive(
    st.one_of(loads, st.builds(Number, numbers, types)),
    lambda inner: st.builds(
        Apply, st.sampled_from(["add", "max", "convert"]), st.lists(inner, max_size=2).map(tuple), types
    ),
    max_leaves=3,
)
lets = st.builds(
    lambda digits, of: Let(tuple(d[0] for d in digits), tuple(d[1] for d in digits), tuple(d[2] for d in digits), of),
    st.lists(st.tuples(variables, affines, st.integers(1, 9)), min_size=1, max_size=3),
    affines,
)
leaves = st.one_of(
    st.builds(Store, loads, exprs, guards, st.sampled_from(ROWS)),
    st.builds(MulAdd, loads, exprs, exprs, guards),
    st.builds(Prefetch, loads),
    lets,
    st.builds(Sync, st.sampled_from(["barrier", "commit", "wait"]), st.integers(0, 3)),
)
statements: st.SearchStrategy[Stmt] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            Loop, variables, bounds, bounds, st.integers(1, 9), st.sampled_from(KINDS),
            st.lists(inner, max_size=3).map(tuple),
        ),
        st.builds(Par, st.lists(lets, max_size=2).map(tuple), st.lists(inner, max_size=3).map(tuple)),
        st.builds(If, st.builds(Guard, affines, affines), st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(statements, max_size=4))
def test_any_nest_is_read_back(body: list[Stmt]) -> None:
    nest = in_nest(*body)
    assert parse(str(nest)) == nest
