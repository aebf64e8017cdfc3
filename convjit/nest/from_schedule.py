"""Schedule → nest: split, reorder, bind kinds, stage. The same steps for every target and every dataflow.

The update stands innermost; the line is then walked from right to left, each loop going around what is there and each
stage putting its copy before it (and, for the output, its store after it). What a CPU or a GPU makes of the kinds
of loops is left to the passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.nest import lists
from convjit.nest.affine import Affine, number
from convjit.nest.bordered import border_nest
from convjit.nest.collapse import collapse
from convjit.nest.context import Context, dimension_size
from convjit.nest.domain import Domain, domain
from convjit.nest.ir import UNITS, Buffer, Guard, Load, MulAdd, Nest, Stmt, Sync, WorkerAxis
from convjit.nest.pack import check_blocks, check_packs, pack_nest, pack_operands
from convjit.nest.prepare import Vectors, prepare
from convjit.nest.revisited import after, before, revisited
from convjit.nest.split import Plan, Split, split
from convjit.nest.stage_memory import memory_stage
from convjit.nest.stage_registers import RegisterStage, fill, finish, register_stage, start, sum_stage
from convjit.nest.visit import map_guards
from convjit.schedule.line import LIST, listed, tile
from convjit.schedule.operands import pack_of, sum_type, zero_left
from convjit.schedule.schedule import Phase, Schedule, Stage
from convjit.spec.conv import ConvSpec


def nests(spec: ConvSpec, schedule: Schedule, machine: Machine) -> tuple[tuple[Nest, Phase], ...]:
    """The nests of a convolution, in the order in which they run, and the phase of each: packing first."""
    found: list[tuple[Nest, Phase]] = []
    gpu = machine.kind == "cuda"
    for phase in schedule.phases:
        base = domain(spec, zero_left(spec, phase.packs))
        check_packs(base, phase)
        if listed(phase):
            found += [(nest, phase) for nest in by_list(spec, base, phase, machine)]
            continue
        for pack in phase.packs:
            types = (base.buffer(pack.tensor).dtype, pack.as_type or base.buffer(pack.tensor).dtype)
            found.append((pack_nest(base, spec, pack, machine.lanes(max(map(bits, types))), gpu), phase))
        found += [(nest, phase) for nest in prepared(spec, base, phase, machine)]
        found += [(nest, phase) for nest in build(base, phase, machine)]
    return tuple(found)


def by_list(spec: ConvSpec, base: Domain, phase: Phase, machine: Machine) -> Iterator[Nest]:
    """The nests of a phase that walks its weight by a list."""
    base = replace(base, beyond=())  # borders are copied: no tap is outside
    walk = lists.walk(base, phase, split(phase.items, dict(base.axes), False))
    pack = pack_of(phase.packs, base.x)
    assert pack
    buffer = walk.input.buffer
    yield lists.list_nest(base, spec, phase, walk)
    lanes = machine.lanes(max(bits(buffer.dtype), bits(base.buffer(base.x).dtype)))
    yield border_nest(base, spec, pack, walk.input, lanes)
    yield from prepare(Vectors(spec, base.zero, False), base.original[base.w], base.buffers, buffer.dtype, (1, 1))
    yield from build(base, phase, machine)


def prepared(spec: ConvSpec, base: Domain, phase: Phase, machine: Machine) -> Iterator[Nest]:
    """What is made of weights, bias and scales before the sums. The instruction is the one that multiplies, where output
    channels alone lie in its lanes."""
    _, packed = pack_operands(base, phase)
    weight = packed.update.b
    assert isinstance(weight, Load)
    lanes = [l for l in phase.levels() if l.kind == "simd"]
    shape = (1, 1)
    if [l.axis for l in lanes] == ["oc"] and sum_type(spec, phase) == spec.accumulator:
        deep = next((tile(spec, phase, l) or 1 for l in phase.levels() if l.kind == "dot"), 1)
        shape = (tile(spec, phase, lanes[0]) or 1, deep)
    x = packed.buffer(packed.x).dtype
    yield from prepare(Vectors(spec, base.zero, machine.kind == "cuda"), weight, packed.buffers, x, shape)


def build(domain: Domain, phase: Phase, machine: Machine) -> tuple[Nest, ...]:
    """The nests of one phase. Raises ConvError where a token cannot be realised.

    An output that is visited again is cleared before and finished after: on a CPU each worker does so for its part, in
    the same nest; on a GPU, where blocks cannot wait for each other, in nests of their own.
    """
    gpu = machine.kind == "cuda"
    packed, domain = (False, domain) if listed(phase) else pack_operands(domain, phase)
    domain, phase = without_digits(domain, phase, gpu)
    fused = phase.fuses[0].axes if phase.fuses else ()
    parts = split(phase.items, fused_sizes(domain, phase), gpu)
    if packed:
        pack = pack_of(phase.packs, domain.w.removesuffix(".packed"))
        assert pack
        check_blocks(parts, domain.buffer(domain.w), pack)
    lanes = prod(p.last + 1 for p in parts.plans() if p.kind == "simd")
    c = Context(domain, phase, parts, gpu, lanes, fused, {}, domain.y, list(domain.buffers))
    if listed(phase):
        walk = lists.walk(domain, phase, parts)
        c.by_list = partial(lists.around, walk)
        c.now = {**lists.operands(c, walk), domain.y: access(c, domain.y, packed)}
    else:
        c.now = {t: access(c, t, packed) for t in (domain.x, domain.w, domain.y)}
    apart_sums(c)
    body = assemble(c)
    workers = tuple(WorkerAxis(p.axis, domain.size(p.axis), p.step) for p in parts.plans() if p.kind == "worker")
    parts_of = [("zero", before(c)), ("", body), ("finish", after(c))]
    if not gpu:
        parts_of = [("", tuple(stmt for _, part in parts_of for stmt in part))]
    return tuple(
        Nest(f"{domain.name}.{word}" if word else domain.name, tuple(c.buffers), part, domain.sizes, workers)
        for word, part in parts_of
        if part
    )


def apart_sums(c: Context) -> None:
    """Sums that are visited again have memory of their own where the output's type is another one."""
    output = c.buffer(c.domain.y)
    if output.dtype == c.domain.accumulator or not revisited(c):
        return
    c.sums = f"{output.name}.sum"
    c.buffers.append(replace(output, name=c.sums, dtype=c.domain.accumulator))
    c.now[c.domain.y] = replace(c.now[c.domain.y], buffer=c.sums)


def without_digits(domain: Domain, phase: Phase, gpu: bool) -> tuple[Domain, Phase]:
    """Where the fused axes are one axis of memory, that axis stands for them (a GPU stages them by iteration)."""
    if gpu or not phase.fuses:
        return domain, phase
    fused_sizes(domain, phase)
    simpler = collapse(domain, phase.fuses[0])
    return (simpler, replace(phase, fuses=())) if simpler else (domain, phase)


def fused_sizes(domain: Domain, phase: Phase) -> dict[str, Affine]:
    """The axes that the line walks: a fused axis in place of those it is made of."""
    sizes = dict(domain.axes)
    for fuse in phase.fuses:
        if unknown := [a for a in fuse.axes if a in domain.reductions or a not in ("n", "od", "oh", "ow")]:
            text = f"'{unknown[0]}' cannot be fused: only the output's n, od, oh and ow can."
            raise ConvError.of(text, fuse.span)
        whole = 1
        for a in fuse.axes:
            size = sizes.pop(a, number(1))
            if size.terms:
                raise ConvError.of(f"'{a}' cannot be fused: its size is open.", fuse.span)
            whole *= size.const
        sizes = {fuse.name: number(whole), **sizes}
    return sizes


def access(c: Context, tensor: str, packed: bool) -> Load:
    """A tensor's element in terms of the loops, with guards wherever its index can leave it.

    The output's axes that overshoot need none on reads that stay in range (their results are not stored), the sum's
    axes do: what lies past their end must count as nothing.
    """
    original = c.domain.original[tensor]
    buffer = c.buffer(original.buffer)
    meaning = c.parts.meaning
    index = tuple(a.substitute(meaning) for a in original.index)
    if tensor == c.domain.y:
        return Load(original.buffer, index)
    guards = list(map_guards(original.inside, lambda a: a.substitute(meaning)))
    for place, dim in enumerate(buffer.dims):
        axes = [a for a in original.index[place].names() if c.parts.overshoots(a)]
        if axes and not covered(c, buffer, dim, axes):
            guards.append(Guard(index[place], dimension_size(buffer, dim)))
    if tensor == c.domain.x:
        guards += [g for a, g in c.parts.guards if a in c.domain.reductions and not c.parts.skewed]
        fused = [g for a, g in c.parts.guards if a in (f.name for f in c.phase.fuses)]
        guards += fused
    return Load(original.buffer, index, tuple(dict.fromkeys(guards)))


def covered(c: Context, buffer: Buffer, dim: str, axes: list[str]) -> bool:
    """Whether whole blocks of a packed buffer reach as far as the axis overshoots."""
    if not buffer.packed or buffer.name == c.domain.x or len(axes) != 1:  # positions of the input are no axis
        return False
    plans = c.parts.of(axes[0])
    reach = sum(p.last for p in plans) + 1 if not any(p.extent.terms for p in plans) else 0
    return 0 < reach <= dimension_size(buffer, dim).const


def assemble(c: Context) -> tuple[Stmt, ...]:
    """Stages from left to right (each changes where the update reads), then the loops from right to left."""
    threads = block_threads(c)
    registers: dict[int, RegisterStage] = {}
    copies: dict[int, tuple[Stmt, ...]] = {}
    for place, item in enumerate(c.parts.items):
        if not isinstance(item, Stage):
            continue
        check_stage(c, item)
        item = replace(item, tensor=internal_name(c, item.tensor))
        if item.tensor not in c.now:
            continue
        c.parts = with_item(c.parts, place, item)
        if item.level == "registers":
            registers[place] = register_stage(c, place)
        elif item.tensor == c.domain.y:
            registers[place] = sum_stage(c, place)
        else:
            copies[place] = memory_stage(c, place, threads)
    if c.now[c.domain.y].buffer != f"{c.domain.y}.r":
        text = f"The output '{c.domain.y}' is not staged: the sum needs registers."
        raise ConvError.of(text, hint=f"Put '[{c.domain.y}]' before the loops whose part of it is kept in registers.")
    return walk_line(c, registers, copies)


def walk_line(
    c: Context, registers: dict[int, RegisterStage], copies: dict[int, tuple[Stmt, ...]]
) -> tuple[Stmt, ...]:
    """The update, with loops and stages around it."""
    x, w, y = (c.now[t] for t in (c.domain.x, c.domain.w, c.domain.y))
    skewed = tuple(g for _, g in c.parts.guards if set(g.affine.names()) & set(c.parts.skewed))
    body: tuple[Stmt, ...] = (*c.digits(x, x.inside), MulAdd(y, x, w, skewed))
    items = c.parts.items
    for place in range(len(items) - 1, -1, -1):
        item = items[place]
        if isinstance(item, Plan) and item.kind == LIST:
            outermost = not (place and isinstance(before := items[place - 1], Plan) and before.kind == LIST)
            if outermost and c.by_list:
                body = c.by_list(body)
        elif isinstance(item, Plan):
            body = item.around(body)
        elif place in registers and item.tensor == c.domain.y:
            stage = registers[place]
            body = (*start(c, stage, place), *body, *finish(c, stage, place))
        elif place in registers:
            body = (*fill(c, registers[place]), *body)
        elif place in copies:
            waits = item.level == "shared"
            first = waits and not is_copy(c, items, place - 1)
            last = waits and not is_copy(c, items, place + 1)
            body = ((Sync("barrier"),) * first + copies[place] + (Sync("barrier"),) * last) + body
    return body


def is_copy(c: Context, items: tuple[Plan | Stage, ...], place: int) -> bool:
    """Whether another copy to shared memory stands there: they share their barriers."""
    return 0 <= place < len(items) and isinstance(s := items[place], Stage) and s.level == "shared"


def with_item(parts: Split, place: int, item: Stage) -> Split:
    """The split with one stage replaced."""
    return replace(parts, items=(*parts.items[:place], item, *parts.items[place + 1 :]))


def internal_name(c: Context, tensor: str) -> str:
    """The user says `w`; where it is packed the nest reads `w.packed`."""
    return tensor if tensor in c.now or f"{tensor}.packed" not in c.now else f"{tensor}.packed"


def check_stage(c: Context, item: Stage) -> None:
    """The tensor and the level must exist."""
    names = [t.removesuffix(".packed") for t in c.now]
    if item.tensor not in names:
        text = f"'{item.tensor}' cannot be staged: the line works on {', '.join(names)}."
        raise ConvError.of(text, item.span)
    if item.level == "shared" and not c.gpu:
        text = f"'{item}': shared memory belongs to a GPU."
        raise ConvError.of(text, item.span, hint="On a CPU a copy goes to 'scratch'.")
    if item.level == "scratch" and c.gpu:
        text = f"'{item}': scratch memory belongs to a CPU."
        raise ConvError.of(text, item.span, hint="On a GPU a copy goes to 'shared'.")


def block_threads(c: Context) -> int:
    """Threads of a block, from the loops that they run."""
    if not c.gpu:
        return 1
    plans = c.parts.plans()
    for plan in plans:
        if plan.kind in UNITS and plan.kind != "block" and plan.extent.terms:
            text = f"The size of '{plan.axis}' is open, so threads cannot share it ('{plan.token}')."
            hint = f"Give it to blocks in single steps ('{plan.axis}:block'), or to each thread."
            raise ConvError.of(text, plan.token.span, hint=hint)
    if any(p.kind == "global" for p in plans):
        return c.phase.option("threads", 256)
    threads = 1
    for unit, width in (("group", 128), ("warp", 32), ("thread", 1)):
        own = [p.last // p.step + 1 for p in plans if p.kind == unit]
        threads *= prod(own) * (width if own else 1)
    if any(p.kind == "lane" for p in plans) and threads == 1:
        threads = 32
    return threads
