"""Digits of numbers: of fused axes and steps, of blocks and threads."""

from __future__ import annotations

from convjit.kernel.ir import Operand
from convjit.kernel.state import State
from convjit.nest.affine import Range
from convjit.nest.ir import UNITS, Let, Par


def bind(l: State, let: Let) -> int:
    """Digits of a number: known ones are numbers, the rest get a scope. How many scopes were opened."""
    of = str(let.of) if str(let.of) in UNITS else ""
    bindings = digits(l, let, unit(l, of) if of else l.v.sum(let.of))
    if of:
        l.v.ranges[let.names[0]] = slowest(let)
    for name, value in list(bindings.items()):
        if isinstance(value, int):
            l.v.static[name] = bindings.pop(name)  # type: ignore[assignment]
        else:
            l.v.static.pop(name, None)
    if not bindings:
        return 0
    l.b.open_scope(bindings)
    return 1


def digits(l: State, let: Let, whole: Operand) -> dict[str, Operand]:
    """Mixed radix, the slowest digit takes what is left."""
    found: dict[str, Operand] = {}
    rest = whole
    for place in range(len(let.names) - 1, -1, -1):
        name, step = let.names[place], let.steps[place]
        count = l.v.sum(let.counts[place])
        digit = rest if place == 0 else l.b.arith("urem", rest, count)
        rest = rest if place == 0 else l.b.arith("udiv", rest, count)
        found[name] = l.b.arith("mul", digit, step)
        top = let.counts[place].const if not let.counts[place].terms else 1 << 31
        l.v.ranges[name] = (0, max(0, top - 1) * step) if place else (0, (1 << 31) - 1)
        l.v.grain[name] = step
    if not let.of.terms or let.of.names() <= l.v.ranges.keys():
        low, high = let.of.range(l.v.known_ranges())
        inner = 1
        for count_ in let.counts[1:]:
            inner *= count_.const if not count_.terms else 1
        l.v.ranges[let.names[0]] = (0, max(0, high // inner) * let.steps[0])
    return found


def region(l: State, par: Par) -> None:
    """Digits of the thread: they are the same all through the function, so they are made at its start."""
    root = l.b.scopes[0]
    saved, l.b.lines = l.b.lines, root.preamble
    for bind in par.binds:
        if bind.names[0] in root.bindings:
            continue
        whole = unit(l, str(bind.of))
        root.bindings.update(digits(l, bind, whole))
        l.v.ranges[bind.names[0]] = slowest(bind)
    l.b.lines = saved
    l.block(par.body)


def unit(l: State, name: str) -> Operand:
    """The number of the thread, warp, lane …"""
    b = l.b

    def special(register: str) -> str:
        return b.once("special", "i32", register=register)

    if name == "block":
        return special("ctaid")
    tid = special("tid")
    assert l.nest.grid
    if name == "global":
        first = b.once("mul", "i32", special("ctaid"), l.nest.grid.threads)
        return b.once("add", "i32", first, tid)
    shift = {"thread": 0, "warp": 5, "group": 7}
    if name == "lane":
        return b.once("and", "i32", tid, 31)
    return b.once("lshr", "i32", tid, shift[name]) if shift[name] else tid


def slowest(let: Let) -> Range:
    """The range of the slowest digit of a thread's or block's number: there are no more than the product of counts,
    but for idle threads, of a grid of global threads or of a copy (~)."""
    count = let.counts[0]
    if count.terms or str(let.of) == "global" or "~" in let.names[0]:
        return (0, (1 << 31) - 1)
    return (0, (count.const - 1) * let.steps[0])
