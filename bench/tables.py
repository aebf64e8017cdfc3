"""Results as Markdown, which is also what the terminal gets, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import summary
from bench.result import Result, Row
from bench.summary import Measure
from convjit.bench.libraries import OURS


def rows_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [_line(head, widths), _line(rule, widths), *(_line(row, widths) for row in rows)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]) + " |"


def layers(results: Sequence[Result], libraries: Sequence[str], limit: Measure) -> list[str]:
    """A table for each kind, and the geometric means below it."""
    lines: list[str] = []
    for kind, group in summary.by_kind(results).items():
        lines += [f"### {kind}", "", *rows_of(_head(libraries, group), _rows(group, libraries, limit)), ""]
    return lines


def _measures(group: Sequence[Result]) -> dict[str, Measure]:
    """Ratios; what no candidate here has is left out."""
    rows = [row for result in group for row in result.rows]
    found: dict[str, Measure] = {"vs best": summary.ratio}
    found |= {"vs blocked": summary.ratio_blocked} if any(row.blocked for row in rows) else {}
    found |= {"vs right": summary.ratio_right} if any(row.verdict.beyond for row in rows) else {}
    found |= {"NCHW": summary.nchw, "NumPy": summary.in_numpy}
    return found | ({"x 1 thread": summary.speedup} if group[0].threads > 1 else {})


def _head(libraries: Sequence[str], group: Sequence[Result]) -> list[str]:
    others = [f"{name} us" for name in libraries if name != OURS]
    return ["layer", "us", group[0].unit, "peak", "limit", *others, *_measures(group)]


def _rows(group: Sequence[Result], libraries: Sequence[str], limit: Measure) -> list[list[str]]:
    measures = _measures(group)
    others = [name for name in libraries if name != OURS]
    rows = [
        [
            result.layer.shape,
            _time(result.ours),
            _number(summary.gflops(result, result.ours), 1),
            _percent(summary.of_peak(result)),
            _percent(limit(result)),
            *(_peer(result, name) for name in others),
            *(_number(measure(result), 2) for measure in measures.values()),
        ]
        for result in group
    ]
    shares = [_percent(summary.mean(group, measure)) for measure in (summary.of_peak, limit)]
    means = [_number(summary.mean(group, measure), 2) for measure in measures.values()]
    return [*rows, ["geometric mean", "", "", *shares, *("" for _ in others), *means]]


def _peer(result: Result, library: str) -> str:
    row = summary.best(result, library=library)
    if row is None:
        return _time(row)
    return _time(row) + "!" * bool(row.verdict.beyond) + "*" * (not row.limited)


def kinds(results: Sequence[Result]) -> list[str]:
    """The geometric means of each kind, on a line."""
    measures: dict[str, Measure] = {"of peak": summary.of_peak} | _measures(results)
    rows = [
        [kind, str(len(group)), *(_number(summary.mean(group, measure), 2) for measure in measures.values())]
        for kind, group in summary.by_kind(results).items()
    ]
    return rows_of(["kind", "layers", *measures], rows)


def losers(results: Sequence[Result]) -> list[str]:
    """Every layer on which a peer is faster, the worst first."""
    lost = sorted((r for r in results if (summary.ratio(r) or 1.0) < 1), key=lambda r: summary.ratio(r) or 1.0)
    rows = []
    for result in lost:
        other = summary.best(result)
        rows.append([f"{result.layer.shape} ({result.layer.name})", _number(summary.ratio(result), 3)])
        rows[-1] += [_percent(summary.of_peak(result)), other.name + "!" * bool(other.verdict.beyond) if other else ""]
    return rows_of(["slower than the best peer", "vs best", "peak", "best peer"], rows) if rows else []


def off(results: Sequence[Result]) -> list[str]:
    """Whose integers are not all equal to the exact ones: in how many layers and outputs, and how far."""
    names = dict.fromkeys(row.name for result in results for row in result.rows if row.verdict.differ)
    rows = [[name, *_off(results, name)] for name in names]
    head = ["not exact", "layers", "outputs", "differ", "by more than 1", "part", "at most"]
    return rows_of(head, rows) if rows else []


def _off(results: Sequence[Result], name: str) -> list[str]:
    found = [(r, row.verdict) for r in results for row in r.rows if row.name == name and row.verdict.differ]
    outputs, beyond = sum(r.outputs for r, _ in found), sum(v.beyond for _, v in found)
    differ, most = sum(v.differ for _, v in found), max(v.most for _, v in found)
    return [*map(str, (len(found), outputs, differ, beyond)), f"{beyond / max(outputs, 1):.3%}", str(most)]


def problems(results: Sequence[Result]) -> list[str]:
    """What had no time, and why; layers with the same problem together."""
    found: dict[str, list[str]] = {}
    for result in results:
        for row in result.rows:
            if row.problem:
                found.setdefault(f"{row.name}: {row.problem}", []).append(result.layer.shape)
    return [f"- {problem} ({', '.join(shapes)})" for problem, shapes in found.items()]


def whole_networks(results: Sequence[Result], libraries: Sequence[str]) -> list[str]:
    """The convolutions of each network, added up."""
    totals = summary.networks(results, libraries)
    rows = [[name, *(f"{1e3 * times[library]:.2f}" for library in libraries)] for name, times in totals.items()]
    return rows_of(["all convolutions, ms", *libraries], rows) if rows else []


FIELDS = (
    "kind", "layer", "shape", "threads", "library", "candidate", "blocked", "limited", "us", "least_us", "gflops",
    "of_peak", "rounds", "disturbed", "nrmse", "outputs", "differ", "beyond", "most", "peak_gflops", "peak_least",
    "peak_most", "problem",
)  # fmt: skip


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """A line for each candidate on each layer."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for result in results:
            writer.writerows(_csv_rows(result))


def _csv_rows(result: Result) -> list[Mapping[str, object]]:
    layer, peaks = result.layer, result.peaks or (0.0,)
    common = {
        "kind": layer.kind, "layer": layer.name, "shape": layer.shape, "threads": result.threads,
        "outputs": result.outputs,
        "peak_gflops": f"{result.peak / 1e9:.1f}", "peak_least": f"{min(peaks) / 1e9:.1f}",
        "peak_most": f"{max(peaks) / 1e9:.1f}",
    }  # fmt: skip
    rows: list[Mapping[str, object]] = []
    for row in result.rows:
        rate = result.operations / row.seconds if row.seconds else 0.0
        rows.append(common | {
            "library": row.library, "candidate": row.name, "blocked": int(row.blocked), "limited": int(row.limited),
            "us": f"{row.seconds * 1e6:.3f}", "least_us": f"{row.least * 1e6:.3f}", "gflops": f"{rate / 1e9:.2f}",
            "of_peak": f"{rate / result.peak:.4f}" if result.peak else "", "rounds": row.rounds,
            "disturbed": f"{row.disturbed:.3f}", "nrmse": f"{row.verdict.nrmse:.3g}", "differ": row.verdict.differ,
            "beyond": row.verdict.beyond, "most": row.verdict.most, "problem": row.problem,
        })  # fmt: skip
    return rows


def _time(row: Row | None) -> str:
    """Microseconds; marked where there was no undisturbed sample."""
    return "-" if row is None else f"{'' if row.rounds else '~'}{row.seconds * 1e6:.1f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
