"""From the tokens of a schedule to loops: names, bounds, and what each axis is in terms of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from convjit.errors import ConvError
from convjit.nest.affine import Affine, Bound, Limit, fixed_bound, number, total, var
from convjit.nest.ir import LANES, Guard, Loop, Stmt
from convjit.schedule.schedule import Item, Level, Stage

AXES = ("n", "g", "oc", "od", "oh", "ow", "kd", "kh", "kw", "c", "d", "h", "w")


@dataclass(frozen=True)
class Plan:
    """A loop before it has a body. `extent`: its values lie below this (a whole tile, even where the last is cut)."""

    name: str
    axis: str
    low: Bound
    high: Bound
    step: int
    kind: str
    extent: Affine
    token: Level

    def around(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """The loop with this body."""
        return (Loop(self.name, self.low, self.high, self.step, self.kind, body),)

    @property
    def last(self) -> int:
        """The highest value of a loop whose extent is known."""
        return (self.extent.const - 1) // self.step * self.step


@dataclass(frozen=True)
class Split:
    """`meaning[axis]` is the axis in terms of its loops. `guards` are what vectors and threads that overshoot need:
    (axis, guard). `skewed` loops walk a tile by input position."""

    items: tuple[Plan | Stage, ...]
    meaning: dict[str, Affine]
    guards: tuple[tuple[str, Guard], ...]
    skewed: dict[str, Affine] = field(default_factory=dict)

    def plans(self) -> tuple[Plan, ...]:
        """The loops without the stages."""
        return tuple(i for i in self.items if isinstance(i, Plan))

    def of(self, axis: str) -> tuple[Plan, ...]:
        """The loops of an axis, outermost first."""
        return tuple(p for p in self.plans() if p.axis == axis)

    def overshoots(self, axis: str) -> bool:
        """Whether lanes or threads run past its end."""
        return any(a == axis for a, _ in self.guards)


def split(items: tuple[Item, ...], sizes: Mapping[str, Affine], gpu: bool, prefix: str = "") -> Split:
    """Walk the tokens, outermost first. Raises ConvError on a token that cannot be."""
    chains: dict[str, list[Plan]] = {axis: [] for axis in sizes}
    made: list[Plan | Stage] = []
    guards: list[tuple[str, Guard]] = []
    for item in items:
        if isinstance(item, Stage):
            made.append(item)
        elif item.axis in sizes:
            plan, more = one_loop(item, chains[item.axis], sizes[item.axis], gpu, prefix)
            chains[item.axis].append(plan)
            made.append(plan)
            guards += [(item.axis, g) for g in more]
        elif item.axis not in AXES:
            names = ", ".join(sizes)
            raise ConvError.of(f"There is no axis '{item.axis}' here.", item.span, hint=f"The axes are {names}.")
    for axis, chain in chains.items():
        if not chain or chain[-1].step != 1:
            raise unwalked(axis, items, sizes[axis])
    return skew(made, chains, guards, sizes)


def one_loop(
    token: Level, chain: list[Plan], size: Affine, gpu: bool, prefix: str
) -> tuple[Plan, tuple[Guard, ...]]:
    """The next loop of an axis. Overshoot becomes a limit of a serial loop, a guard of lanes and threads."""
    name = f"{prefix}{token.axis}.{len(chain)}"
    extents = [size, *(number(p.step) for p in chain)]
    here = extents[-1]
    kind = "worker" if token.kind == "thread" and not gpu else token.kind
    low, high = fixed_bound(0), [Limit(here)]
    if kind == "worker":
        if chain:
            raise ConvError.of(f"'{token}': only the outermost loop of an axis can be shared by threads.", token.span)
        low += (Limit(var(f"{token.axis}.begin")),)
        high.append(Limit(var(f"{token.axis}.end")))
    inside = [total(var(p.name) for p in chain[depth:]) for depth in range(len(chain))]
    if gpu:  # threads cannot be cut short: the innermost loop carries a guard for every tile that overshoots
        cut = [d for d in range(len(chain)) if any(overshoots(extents[d], p.step) for p in chain[d:])]
        guards = tuple(Guard(inside[d] + var(name), extents[d]) for d in cut) if token.step == 1 else ()
        return Plan(name, token.axis, low, tuple(high), token.step, kind, here, token), guards
    tile = chain[-1].step if chain else 1  # steps that it does not divide let it start off the grid
    uneven = [overshoots(extents[d], tile) or any(p.step % tile for p in chain[d:]) for d in range(len(chain))]
    cut = [d for d, crosses in enumerate(uneven) if crosses]
    if kind in (*LANES, "vec"):
        guards = tuple(Guard(inside[d] + var(name), extents[d]) for d in cut)
        return Plan(name, token.axis, low, tuple(high), token.step, kind, here, token), guards
    high += [Limit(extents[d] - inside[d]) for d in cut]
    return Plan(name, token.axis, low, tuple(high), token.step, kind, here, token), ()


def overshoots(size: Affine, step: int) -> bool:
    """Whether steps of a tile run past a size."""
    return step > 1 and (bool(size.terms) or size.const % step != 0)


def skew(
    made: list[Plan | Stage], chains: dict[str, list[Plan]], guards: list[tuple[str, Guard]], sizes: Mapping[str, Affine]
) -> Split:
    """{oh+kh}: the loop runs over positions of a tile, position = tile index + tap."""
    meaning = {axis: total(var(p.name) for p in chain) for axis, chain in chains.items()}
    skewed: dict[str, Affine] = {}
    for place, plan in enumerate(made):
        if isinstance(plan, Stage) or not plan.token.tap:
            continue
        tap = plan.token.tap
        if tap not in sizes:
            continue  # a single tap: position and index are the same
        extent = plan.extent
        if any(a == plan.axis for a, _ in guards) or len(plan.high) > 1 or extent.terms:
            text = f"'{plan.token}': a tile walked by position must divide {plan.axis}."
            raise ConvError.of(text, plan.token.span, hint=f"Choose a step of {plan.axis} that divides its size.")
        index = var(plan.name) - meaning[tap]
        skewed[plan.name] = index
        guards.append((plan.axis, Guard(index, extent)))
        high = (Limit(extent + sizes[tap] - 1),)
        made[place] = Plan(plan.name, plan.axis, plan.low, high, 1, plan.kind, extent + sizes[tap] - 1, plan.token)
    meaning = {a: total(skewed.get(p.name, var(p.name)) for p in chain) for a, chain in chains.items()}
    return Split(tuple(made), meaning, tuple(guards), skewed)


def unwalked(axis: str, items: tuple[Item, ...], size: Affine) -> ConvError:
    """The axis lacks its innermost loop."""
    span = next((i.span for i in items if isinstance(i, Level) and i.axis == axis), items[0].span if items else None)
    text = f"The axis {axis} of size {size} is not walked down to single steps."
    return ConvError.of(text, span, hint=f"Add '{axis}' (a last mention without a step) to the line.")
