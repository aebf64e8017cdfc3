"""A tile whose elements go through a costly function is laid down in memory first, and a rolled loop takes it up.

    unroll ow.1 in 0..14; unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y[ow.1, oc.1+oc.2] = gelu:f32(y.r[ow.1, oc.1, oc.2])

    unroll ow.1 in 0..14; unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y.r.f[ow.1, oc.1+oc.2] = y.r[ow.1, oc.1, oc.2]
    for ow.1 in 0..14; for oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y[ow.1, oc.1+oc.2] = gelu:f32(y.r.f[ow.1, oc.1+oc.2])

Registers have no address, so 28 vectors would be 28 copies of 40 instructions, in every body that the borders cut off.
Must run after the borders are peeled: nothing is left to cut the loops for.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from convjit.dtypes import bits
from convjit.nest.affine import total, var
from convjit.nest.functions import operations
from convjit.nest.ir import NESTED, Buffer, Let, Load, Loop, Nest, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.visit import loads, map_loads

MANY = 200
"""Operations of all copies together from which on the loops are rolled."""

FEW, BYTE = 60, 8
"""Operations of vectors side by side up to which they stay together, where the output's numbers have so many bits."""


def roll_functions(nest: Nest) -> Nest:
    """The nest with costly functions in rolled loops."""
    registers = frozenset(b.name for b in nest.buffers if b.level == "registers")
    made: list[Buffer] = []
    body = block(nest.body, nest, registers, made)
    return replace(nest, buffers=nest.buffers + tuple(made), body=body)


def block(body: tuple[Stmt, ...], nest: Nest, registers: frozenset[str], made: list[Buffer]) -> tuple[Stmt, ...]:
    """Every tile in a list of statements."""
    result: list[Stmt] = []
    for stmt in body:
        loops, inner = chain(stmt)
        tile = costly(loops, inner, registers)
        if tile:
            kept = scratch(nest.buffer(tile.buffer), loops, made)
            result += rolled(loops, inner, tile, kept, nest)
        elif isinstance(stmt, NESTED):
            result.append(replace(stmt, body=block(stmt.body, nest, registers, made)))
        else:
            result.append(stmt)
    return tuple(result)


def chain(stmt: Stmt) -> tuple[list[Loop], tuple[Stmt, ...]]:
    """Unrolled loops and lanes around each other, and what the innermost does."""
    loops: list[Loop] = []
    inner: tuple[Stmt, ...] = (stmt,)
    while len(inner) == 1 and isinstance(loop := inner[0], Loop) and loop.kind in ("unroll", "simd"):
        loops.append(loop)
        inner = loop.body
    return loops, inner


def costly(loops: list[Loop], inner: tuple[Stmt, ...], registers: frozenset[str]) -> Load | None:
    """The register that one store reads, where its copies do many operations; None for anything else."""
    if not inner or not isinstance(store := inner[-1], Store) or not all(isinstance(s, Let) for s in inner[:-1]):
        return None
    read = {load for load in loads(store) if load.buffer in registers}
    counts = [last(l) // l.step + 1 for l in loops if l.kind == "unroll"]
    if len(read) != 1 or store.target.buffer in registers or operations(store.value) * prod(counts) < MANY:
        return None
    return read.pop() if len(counts) and prod(counts) > 1 else None


def last(loop: Loop) -> int:
    """The highest value of the counter: unrolled loops have a bound that is a number."""
    return (min(h.affine.const for h in loop.high if not h.affine.terms) - 1) // loop.step * loop.step


def scratch(register: Buffer, loops: list[Loop], made: list[Buffer]) -> Load:
    """An element of memory for the tile: one dimension for each axis, the lanes' last."""
    axes: dict[str, list[Loop]] = {}
    for loop in loops:
        axis = loop.name.split(".")[0]
        axes[axis] = [*axes.pop(axis, []), loop]
    sizes = tuple((axis, sum(map(last, own)) + 1) for axis, own in axes.items())
    layout = Layout(tuple((axis, 1) for axis in axes), sizes)
    index = tuple(total(var(l.name) for l in own) for own in axes.values())
    for known in made:
        if known.name.startswith(f"{register.name}.f") and known.layout == layout:
            return Load(known.name, index)
    name = f"{register.name}.f{len(made) or ''}"
    made.append(Buffer(name, tuple(axes), register.dtype, "scratch", layout))
    return Load(name, index)


def together(loops: list[Loop], store: Store, dtype: str) -> Loop | None:
    """The innermost of the unrolled loops, where it stays one: few vectors side by side, whose bytes are packed together."""
    own = [loop for loop in loops if loop.kind == "unroll"]
    if not own or bits(dtype) > BYTE:
        return None
    return own[-1] if (last(own[-1]) // own[-1].step + 1) * operations(store.value) <= FEW else None


def rolled(loops: list[Loop], inner: tuple[Stmt, ...], tile: Load, kept: Load, nest: Nest) -> list[Stmt]:
    """Lay the tile down, take it up again."""
    *lets, store = inner
    assert isinstance(store, Store)
    value = map_loads(store.value, lambda load: kept if load == tile else load)
    lanes = {loop.name for loop in loops if loop.kind == "simd"}
    exists = tuple(g for g in store.when if not lanes & g.affine.names())  # other registers hold nothing
    down: tuple[Stmt, ...] = (*lets, Store(kept, tile, exists)) if exists else (Store(kept, tile),)
    up: tuple[Stmt, ...] = (*lets, replace(store, value=value))
    stays = together(loops, store, nest.buffer(store.target.buffer).dtype)
    for loop in reversed(loops):
        down = (replace(loop, body=down),)
        up = (replace(loop, kind="serial" if loop.kind == "unroll" and loop is not stays else loop.kind, body=up),)
    return [*down, *up]
