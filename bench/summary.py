"""What the times of a layer, and of the layers of a kind, come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, log

from bench.layers import KINDS, NETWORKS, load
from bench.result import Result, Row
from convjit.bench.libraries import OURS

Measure = Callable[[Result], float | None]


def best(result: Result, blocked: bool = False, library: str = "", right: bool = False) -> Row | None:
    """The fastest of the others (of one library, if given): among those that take and give plain arrays, or among all,
    including those in a library's own order; if it must be `right`, among those none of whose outputs is off by more than
    a unit. Those that may use more instructions than we do are not among them, unless their library is asked for."""
    rows = [
        row
        for row in result.rows
        if row.library != OURS
        and not row.problem
        and (blocked or not row.blocked)
        and (row.library == library if library else row.limited)
        and not (right and row.verdict.beyond)
    ]
    return min(rows, key=lambda row: row.seconds, default=None)


def ratio(result: Result) -> float | None:
    """How many times as fast as the best peer we are, on plain arrays."""
    return _over(best(result), result.ours)


def ratio_blocked(result: Result) -> float | None:
    """The same, with the peers in the order that they like best, as inside of a network."""
    return _over(best(result, blocked=True), result.ours)


def ratio_right(result: Result) -> float | None:
    """As `ratio`, without the peers that have outputs that are off by more than a unit."""
    return _over(best(result, right=True), result.ours)


def nchw(result: Result) -> float | None:
    """The speed of our NCHW kernel, as a part of that of our NHWC kernel."""
    return _over(result.ours, result.row(f"{OURS} nchw"))


def in_numpy(result: Result) -> float | None:
    """Our speed on arrays where NumPy puts them, as a part of that on arrays that do not begin at the same place of a page."""
    return _over(result.ours, result.row(f"{OURS} numpy"))


def speedup(result: Result) -> float | None:
    """How many times as fast as our one thread all threads are."""
    return _over(result.row(f"{OURS} 1 thread"), result.ours)


def gflops(result: Result, row: Row | None) -> float | None:
    """Operations of the direct convolution, borders counted in, per nanosecond."""
    return result.operations / row.seconds / 1e9 if row else None


def unsteadiness(result: Result) -> float:
    """How far the median lies above the least, for us or the best peer, whoever is worse: 1 where all rounds agree."""
    rows = [row for row in (result.ours, best(result), best(result, blocked=True)) if row]
    return max((row.seconds / row.least for row in rows), default=1.0)


def faster(one: Result, other: Result) -> Result:
    """The one of two measurements of a layer that was disturbed less, which is the faster one on the whole."""
    times = [{row.name: row.seconds for row in result.rows if not row.problem} for result in (one, other)]
    if times[0].keys() != times[1].keys():
        return one if len(times[0]) >= len(times[1]) else other
    return one if sum(times[0].values()) <= sum(times[1].values()) else other


def of_peak(result: Result) -> float | None:
    """Our part of the peak that was measured in the same rounds. More than 1 where border taps are left out."""
    return result.operations / result.ours.seconds / result.peak if result.ours and result.peak else None


def of_limit(result: Result, rates: Mapping[str, float], caches: Mapping[str, int]) -> float | None:
    """Our part of the roofline: the multiply-adds at their peak, or every tensor moved once from where all of them fit."""
    if not result.ours or not result.peak or not rates:
        return None
    level = next((name for name, size in caches.items() if name in rates and result.bytes <= size), "memory")
    return max(result.operations / result.peak, result.bytes / rates[level]) / result.ours.seconds


def mean(results: Iterable[Result], measure: Measure) -> float | None:
    """The geometric mean over the layers that have the measure."""
    values = [value for value in map(measure, results) if value]
    return exp(sum(map(log, values)) / len(values)) if values else None


def by_kind(results: Iterable[Result]) -> dict[str, list[Result]]:
    """In the order of `KINDS`, without empty ones."""
    groups: dict[str, list[Result]] = {kind: [] for kind in KINDS}
    for result in results:
        groups[result.layer.kind].append(result)
    return {kind: group for kind, group in groups.items() if group}


def networks(results: Sequence[Result], libraries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Seconds of all convolutions of a network, layer after layer, by library (its best plain candidate of each layer).

    Only networks that were measured completely, by every library.
    """
    whole = {network: sum(network in dict(layer.uses) for layer in load()) for network in NETWORKS}
    found: dict[str, dict[str, float]] = {}
    for network in NETWORKS:
        used = [(r, dict(r.layer.uses)[network]) for r in results if network in dict(r.layer.uses)]
        totals = {name: _total(used, name) for name in libraries}
        if len(used) == whole[network] and None not in totals.values():
            found[network] = {name: total for name, total in totals.items() if total is not None}
    return found


def _total(used: Sequence[tuple[Result, int]], library: str) -> float | None:
    total = 0.0
    for result, times in used:
        row = result.ours if library == OURS else best(result, library=library)
        if row is None:
            return None
        total += times * row.seconds
    return total


def _over(slow: Row | None, fast: Row | None) -> float | None:
    return slow.seconds / fast.seconds if slow and fast else None
