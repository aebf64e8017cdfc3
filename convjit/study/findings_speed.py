"""The report's conclusions on speed, beside the rows that were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from convjit.report import milliseconds
from convjit.study.finding import Finding, finding, near, unmeasured
from convjit.study.hosts import SCALAR
from convjit.study.sections.sparse import Lists
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.show import plural
from convjit.study.tradeoff import ABSENT, Row

INTEGERS = ("i32", "i16", "i8")


def speed(result: TradeOff) -> Iterator[Finding]:
    """Everything that times say."""
    yield from _scalar(result)
    yield _alike(result)
    yield from _vectors(result)
    yield from _bytes(result)
    yield _gpu(result)


def _scalar(result: TradeOff) -> Iterator[Finding]:
    claim = "Quantised scalar code is faster than f32, by less than 1.4 times."
    base = result.best("f32", _one_scalar)
    rows = [row for dtype in INTEGERS if (row := result.best(dtype, _one_scalar))]
    if base is None or not rows:
        yield unmeasured(claim, "§5.2.3", "There are no times of scalar integers.")
        return
    factors = {row.dtype: _ratio(base, row) for row in rows}
    figure = ", ".join(f"{dtype} {factor:.2f} times" for dtype, factor in factors.items())
    holds = all(1 < f < 1.4 for f in factors.values())
    yield finding(claim, "§5.2.3", f"Speed over scalar f32, one thread: {figure}.", holds)
    claim = "Vectors and threads make quantised code about 10 times as fast as scalar code."
    pairs = [(row, best) for row in rows if (best := result.best(row.dtype, _vector))]
    if not pairs:
        yield unmeasured(claim, "§5.2.3", "There are no times of vector code.")
        return
    figure = ", ".join(f"{b.name} {_ratio(a, b):.1f} times ({_place(b)})" for a, b in pairs)
    holds = all(_ratio(a, b) >= 9 for a, b in pairs)
    yield finding(claim, "§5.2.3", f"Over scalar code of the same type: {figure}.", holds)


def _alike(result: TradeOff) -> Finding:
    claim = "Vector code of integers has the error of scalar code."
    errors = {d: {r.nrmse for r in result.measured if r.dtype == d and r.name == d} for d in INTEGERS}
    there = {d: e for d, e in errors.items() if e}
    if not there:
        return unmeasured(claim, "§5.2.3", "There are no rows of integers.")
    text = ", ".join(f"{d} {', '.join(f'{e:.3e}' for e in sorted(found, key=float))}" for d, found in there.items())  # type: ignore[arg-type]
    return finding(claim, "§5.2.3", f"NRMSE on all targets: {text}.", all(len(e) == 1 for e in there.values()))


VECTORS: tuple[tuple[str, str, str, Callable[[float], bool]], ...] = (
    ("§5.2.3", "INT32 with AVX does not pay: it takes 8% more time than f32.", "i32", lambda f: f < 1),
    ("§5.2.4", "INT16 with AVX is about 1.5 times as fast as f32.", "i16", lambda f: near(f, 1.5) or f > 1.5),
)
"""Section, claim, type, and what the speed over f32 must be."""


def _vectors(result: TradeOff) -> Iterator[Finding]:
    """The two comparisons that the report makes with AVX2 and threads."""
    for section, claim, dtype, holds in VECTORS:
        a, b = (result.best(t, _on("cpu:avx2")) for t in ("f32", dtype))
        if a is None or b is None:
            yield unmeasured(claim, section, _why(result, "cpu:avx2", dtype))
            continue
        factor = _ratio(a, b)
        figure = f"{b.name} takes {milliseconds(b.seconds)}, f32 {milliseconds(a.seconds)} on cpu:avx2: {factor:.2f} times as fast."
        yield finding(claim, section, figure, holds(factor))


def _bytes(result: TradeOff) -> Iterator[Finding]:
    """The question of 5.2.5: what the report expects of INT8, on every target that has an instruction of its own for it."""
    for target in ("cpu:avx2", "cpu:avx2_vnni", "cpu:avx512", "cpu:avx512_vnni"):
        claim = f"INT8 on {target.removeprefix('cpu:')} is faster than f32, INT32 and INT16."
        byte = result.best("i8", _on(target))
        others = [row for d in ("f32", "i32", "i16") if (row := result.best(d, _on(target)))]
        if byte is None or len(others) < 3:
            yield unmeasured(claim, "§5.2.5", _why(result, target, "i8"))
            continue
        figure = ", ".join(f"{_ratio(row, byte):.2f} times as fast as {row.dtype}" for row in others)
        holds = all(_ratio(row, byte) > 1 for row in others)
        text = f"INT8 takes {milliseconds(byte.seconds)}: {figure}; NRMSE {byte.nrmse:.2e}."
        yield finding(claim, "§5.2.5", text, holds)


def _gpu(result: TradeOff) -> Finding:
    claim = "Input-stationary code on a GPU is about 40 times as fast as scalar f32, without loss."
    base = result.best("f32", _one_scalar)
    row = result.best("f32", lambda r: r.target.startswith("cuda"))
    if base is None or row is None:
        return unmeasured(claim, "§5.2.2", _why(result, "cuda", "f32"))
    factor = _ratio(base, row)
    holds = factor >= 36 and (row.nrmse or 0) <= 2 * (base.nrmse or 0)
    figure = f"{factor:.0f} times ({row.dataflow}, {milliseconds(row.seconds)} in the GPU's memory), NRMSE {row.nrmse:.2e}."
    return finding(claim, "§5.2.2", figure, holds)


def _why(result: TradeOff, target: str, dtype: str) -> str:
    """Why there is no time."""
    absent = next((r.why for r in result.rows if r.state == ABSENT and r.target.startswith(target)), "")
    refused = next((r.why for r in result.rows if r.dtype == dtype and r.seconds is None and r.why), "")
    return absent or refused or f"There are no times of {dtype} on {target}."


def _on(target: str) -> Callable[[Row], bool]:
    return lambda row: row.target == target


def _one_scalar(row: Row) -> bool:
    return row.target == SCALAR and row.threads == 1


def _vector(row: Row) -> bool:
    return row.target != SCALAR and row.target.startswith("cpu")


def _ratio(slow: Row, fast: Row) -> float:
    return (slow.seconds or 0.0) / (fast.seconds or 1.0)


def _place(row: Row) -> str:
    return f"{row.target}, {plural(row.threads, 'thread')}"


def lists(result: Lists) -> Iterator[Finding]:
    """The question of 5.2.6: what zeros are worth."""
    claim = "Zeros of a weight, which become more in deep layers, can make a kernel faster."
    for name, found in result.found:
        figure = ", ".join(f"{p.zeros:.0%} zeros {p.speedup:.2f} times" for p in found.points)
        text = f"{name} on {found.target}, a list of the other numbers beside the dense kernel: {figure} as fast."
        yield finding(claim, "§5.2.6", text, any(p.speedup > 1 for p in found.points))
