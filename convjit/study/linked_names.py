"""Which loops and stages of the schedule the statements of a nest come from, by the names that they carry.

A loop of the line is called after its axis and its place in the chain of that axis (`oc.0`, `oc.1`), a loop of a copy or
of packing has what it copies before that (`x~c.0`, `pack~oc.1`), a buffer that a stage makes is called after the tensor
(`y.r`, `x.s`). A statement that has no such name comes from no one thing of the schedule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from convjit.nest.ir import Let, Load, Loop, MulAdd, Nest, Par, Prefetch, Stmt, Store, Sync
from convjit.nest.visit import loads
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Stage
from convjit.schedule.schedule import Prefetch as Ahead

Key = tuple[object, ...]
"""What tells a thing of a schedule from the others."""

PRODUCT: Key = ("product",)
RESULT: Key = ("result",)
"""Two things that no schedule names: the multiply-add, and the store of results with what is done before it."""

_LOOP = re.compile(r"(?:(?P<of>[\w.]+)[~.])??(?P<axis>[a-z]+)\.(?P<place>\d+)(?:\.[tv])?")


def level_keys(levels: Iterable[Item], around: Key) -> Iterator[Key]:
    """A key for every loop of a line: its axis, and how many loops of that axis stand before it."""
    seen: dict[str, int] = {}
    for place, item in enumerate(levels):
        if isinstance(item, Stage):
            yield (*around, "stage", place)
            continue
        yield (*around, item.axis, seen.get(item.axis, 0))
        seen[item.axis] = seen.get(item.axis, 0) + 1


class Names:
    """What statements come from, for the nests of one phase."""

    def __init__(self, phase: Phase, number: int, output: str) -> None:
        self.phase, self.number, self.output = phase, number, output

    def keys(self, nest: Nest, stmt: Stmt) -> Iterator[Key]:
        """The things that a statement comes from."""
        if isinstance(stmt, Loop):
            yield from self.loop(nest, stmt.name)
            yield from self.steps(nest, stmt)
        elif isinstance(stmt, Let):
            yield from self.digits(nest, stmt)
        elif isinstance(stmt, Par):
            for bind in stmt.binds:
                yield from self.digits(nest, bind)
        elif isinstance(stmt, MulAdd):
            yield PRODUCT
        elif isinstance(stmt, Store):
            yield from self.store(stmt)
        elif isinstance(stmt, Sync):
            yield from (key for key, s in self.stages() if s.level == "shared")
        elif isinstance(stmt, Prefetch):
            yield from self.ahead(stmt)

    def digits(self, nest: Nest, let: Let) -> Iterator[Key]:
        """A number's digits are loops; those of a fused axis come from its line."""
        for i, fuse in enumerate(self.phase.fuses):
            if set(let.names) <= set(fuse.axes):
                yield (self.number, "fuse", i)
        for name in let.names:
            yield from self.loop(nest, name)

    def steps(self, nest: Nest, loop: Loop) -> Iterator[Key]:
        """A loop over steps stands for the loops whose counters are digits of the step."""
        for stmt in loop.body:
            if isinstance(stmt, Let) and loop.name in stmt.of.names():
                yield from self.digits(nest, stmt)

    def loop(self, nest: Nest, name: str) -> Iterator[Key]:
        """The loop of the schedule that is called so."""
        found = _LOOP.fullmatch(name)
        if not found:
            return
        of, axis, place = found["of"], found["axis"], int(found["place"])
        if of is None:
            yield (self.number, axis, place)
        elif of == "pack":
            yield from self.packing(nest, axis, place)
        else:
            tensor = of.removesuffix(".packed")
            for key, stage in self.stages():
                if stage.tensor == tensor and stage.level != "registers":
                    own = [l for l in stage.copy if l.axis == axis]
                    yield (*key, axis, place) if place < len(own) else key

    def packing(self, nest: Nest, axis: str, place: int) -> Iterator[Key]:
        """A loop that packs: of the pack line's blocks the one that it walks. It may be cut further than the line says."""
        for i, pack in enumerate(self.phase.packs):
            if any(b.name == f"{pack.tensor}.packed" for b in nest.buffers if b.level == "memory"):
                own = [l for l in pack.parts if l.axis == axis]
                yield (self.number, "pack", i, axis, min(place, len(own) - 1)) if own else (self.number, "pack", i)

    def store(self, stmt: Store) -> Iterator[Key]:
        """A store fills what a stage keeps, or empties it; a store of the output is the result's."""
        if stmt.target.buffer == self.output:
            yield RESULT
        named = list(self.kept(stmt.target)) or [key for load in loads(stmt) for key in self.kept(load)]
        yield from named
        if not named and stmt.target.buffer.endswith(".packed"):
            tensor = stmt.target.buffer.removesuffix(".packed")
            yield from ((self.number, "pack", i) for i, p in enumerate(self.phase.packs) if p.tensor == tensor)

    def kept(self, load: Load) -> Iterator[Key]:
        """The stages that keep a buffer: `x.r` in registers, `x.s` in memory."""
        for suffix, registers in ((".r", True), (".s", False)):
            if load.buffer.endswith(suffix):
                tensor = load.buffer.removesuffix(suffix).removesuffix(".packed")
                yield from (k for k, s in self.stages() if s.tensor == tensor and (s.level == "registers") == registers)

    def ahead(self, stmt: Prefetch) -> Iterator[Key]:
        """The lines that ask for this buffer ahead."""
        tensor = stmt.target.buffer.removesuffix(".packed")
        yield from ((self.number, "prefetch", i) for i, p in enumerate(self.phase.prefetches) if p.tensor == tensor)

    def stages(self) -> Iterator[tuple[Key, Stage]]:
        """The line's stages and their keys."""
        for place, item in enumerate(self.phase.items):
            if isinstance(item, Stage):
                yield (self.number, "stage", place), item


def label(part: Item | Pack | Fuse | Ahead) -> str:
    """What a thing of a schedule is called: "loop oc/16:thread", "stage [y]", "pack w"."""
    if isinstance(part, Level):
        return f"loop {part}"
    if isinstance(part, Stage):
        return f"stage [{part.tensor}{'' if part.level == 'registers' else f': {part.level}'}]"
    return str(part).split(":", maxsplit=1)[0] if isinstance(part, Pack) else str(part)
