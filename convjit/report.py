"""Texts about a compilation: what was taken and why, and where the time went."""

from __future__ import annotations

from convjit.pipeline import Compilation


def profile(c: Compilation) -> str:
    """A line: milliseconds of every stage, and its share."""
    whole = sum(c.seconds.values()) or 1.0
    parts = [f"{name} {1e3 * s:.1f} ms ({s / whole:.0%})" for name, s in c.seconds.items()]
    return f"convjit: {c.spec.name} on {c.machine.name}: {1e3 * whole:.1f} ms: " + ", ".join(parts)


def explain(c: Compilation) -> str:
    """Which dataflow, tiles and instructions were taken, and why."""
    from convjit.kernel.ir import Op, walk

    ops = {s.name for k in c.kernels for s in walk(k.body) if isinstance(s, Op)}
    rows = [r.name for r in c.machine.rows if r.name in ops]
    lines = [f"{c.spec.name} on {c.machine.name}", f"dataflow: {c.schedule.dataflow or 'as written'}"]
    lines += [f"  {line}" for phase in c.schedule.phases for line in phase.lines()]
    lines += [f"  because {reason}" for reason in c.schedule.reasons]
    lines.append(f"instructions: {', '.join(dict.fromkeys(rows)) or 'multiply and add'}")
    return "\n".join(lines) + "\n"
