"""The lines of a `dataflow { … }` block → Schedule."""

from __future__ import annotations

from convjit.dsl import ast
from convjit.errors import ConvError
from convjit.schedule.schedule import Fuse, Item, Level, Pack, Phase, Prefetch, Schedule, Stage


def lower(blocks: tuple[ast.ScheduleBlock, ...]) -> Schedule:
    """The schedule that a user wrote. Raises ConvError where a line stands twice or is missing."""
    return Schedule(tuple(phase(block) for block in blocks))


def phase(block: ast.ScheduleBlock) -> Phase:
    """One block: the lines of loops run on, the others stand beside them."""
    items: list[Item] = []
    packs: list[Pack] = []
    fuses: list[Fuse] = []
    prefetches: list[Prefetch] = []
    launch: list[tuple[str, int]] = []
    for line in block.lines:
        if isinstance(line, ast.Loops):
            items += [stage(i) if isinstance(i, ast.StageToken) else level(i) for i in line.items]
        elif isinstance(line, ast.Pack):
            packs.append(Pack(line.tensor, tuple(map(level, line.loops)), line.as_type or "", line.span))
        elif isinstance(line, ast.Fuse):
            fuses.append(Fuse(line.name, line.axes, line.span))
        elif isinstance(line, ast.Prefetch):
            prefetches.append(Prefetch(line.tensor, level(line.loop), line.distance, line.span))
        else:
            launch += [(word, number or 0) for word, number in line.options]
    if not items:
        text = "The dataflow block has no line of loops."
        raise ConvError.of(text, block.span, hint="Write the loops, outermost first: 'oc oh ow [y] kh kw c'.")
    if len(fuses) > 1:
        raise ConvError.of("Only one axis can be fused in a phase.", fuses[1].span)
    return Phase(tuple(items), block.phase or "", tuple(packs), tuple(fuses), tuple(prefetches), tuple(launch))


def level(token: ast.LoopToken) -> Level:
    """One loop."""
    return Level(token.axis, token.step or 1, token.kind or "serial", token.tap or "", token.span)


def stage(token: ast.StageToken) -> Stage:
    """One stage."""
    return Stage(
        token.tensor, token.level, token.ring, token.swizzle, token.pad, token.as_type or "", token.by or "loads",
        tuple(map(level, token.copy)), token.span,
    )  # fmt: skip
