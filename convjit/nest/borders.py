"""Taps outside the image, where the input has a zero point.

A padded cell counts as the zero point: less that, it is 0. The sums leave such taps out, while the vector `offset` has
taken the zero point times all weights off every sum; what it took for the taps outside is added again here.
"""

from __future__ import annotations

from collections.abc import Callable

from convjit.nest.affine import Affine, fixed_bound, number, var
from convjit.nest.context import Context
from convjit.nest.ir import Apply, Guard, Load, Loop, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.visit import map_guards

Around = Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]]


def given_back(c: Context, target: Load, meaning: Callable[[Affine], Affine], exists: tuple[Guard, ...], around: Around) -> tuple[Stmt, ...]:
    """target += outside[oc, taps] for every tap outside: along the first axis, or else along the next. `meaning` gives
    the output's axes in terms of the loops that `around` puts around the statement; the loops over taps stand outside."""
    if not c.domain.beyond:
        return ()
    name = c.domain.outside
    layout = c.buffer(name).layout
    assert isinstance(layout, Layout)
    taps = [(d, n) for d, n in layout.sizes if d != "oc"]
    here = {d: var(f"{d}~") if n != 1 else number(0) for d, n in taps}
    channel = c.domain.original[c.domain.y].index[-1]
    more = Load(name, (meaning(channel), *here.values()))
    made: list[Stmt] = []
    for guards in c.domain.beyond:
        when = (*map_guards(guards, lambda a: meaning(a.substitute(here))), *exists)
        add = Store(target, Apply("add", (target, more), c.domain.accumulator), when)
        body = around((*c.digits(target, when), add))
        for d, n in reversed(taps):
            if n != 1:
                assert isinstance(n, int)
                body = (Loop(f"{d}~", fixed_bound(0), fixed_bound(n), 1, "serial", body),)
        made += body
    return tuple(made)
