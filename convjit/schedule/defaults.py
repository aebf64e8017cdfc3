"""The schedule of a spec on a CPU, from rules: which loop lies in lanes, the register tile, the order around it."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule import spread, tile
from convjit.schedule.facts import Facts
from convjit.schedule.lanes import Lanes, choices
from convjit.schedule.order import around
from convjit.schedule.schedule import Schedule
from convjit.schedule.tile import Tile
from convjit.spec.conv import ConvSpec


def default(spec: ConvSpec, machine: Machine) -> Schedule:
    """The schedule whose tile takes the fewest cycles by the machine's data."""
    facts = Facts(spec, machine)
    best = min(candidates(facts), key=lambda t: (t.cycles, t.acc))
    return around(facts, best)


def candidates(facts: Facts) -> list[Tile]:
    """Every register tile that is worth a thought."""
    found: list[Tile] = []
    for lanes in choices(facts):
        written = spread.tiles(facts, lanes) if spread.suits(facts, lanes) else []
        found += written or rolled(facts, lanes)
    return found


def rolled(facts: Facts, lanes: Lanes) -> list[Tile]:
    """Tiles whose sum runs in rolled loops: vectors of the lanes times a run of pixels or of channels."""
    found = []
    for loop, size in beside(facts, lanes).items():
        for count in range(1, min(size, facts.registers) + 1):
            for vectors in range(1, min(lanes.vectors(facts), facts.registers) + 1):
                counts = ((loop, count),) if count > 1 else ()
                if not tile.fits(facts, lanes, vectors, counts, False):
                    break
                found.append(tile.rolled(facts, lanes, vectors, counts))
    return found


def beside(facts: Facts, lanes: Lanes) -> dict[str, int]:
    """The loops that a tile may take a run of, besides the lanes: pixels where channels are in lanes, and the other way."""
    if lanes.moves_x:
        return {"oc": facts.sizes["oc"]} if "oc" not in lanes.inner else {next(iter(facts.pixels)): 1}
    column = f"o{facts.letters[-1]}"
    wanted = [loop for loop in facts.pixels if loop in ("p", column)]
    short = [loop for loop, n in facts.pixels.items() if n > facts.pixels.get(wanted[0] if wanted else "", 1)]
    return {loop: facts.pixels[loop] for loop in dict.fromkeys([*wanted, *short])} or {"n": 1}
