"""What was taken and why, what a call reads and writes, and what it costs: `explain`. Loaded when it is asked for, since it
counts and models more than a compilation needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from convjit.cost.energy_table import HOROWITZ
from convjit.cost.predict import predict
from convjit.cost.sizes import open_sizes
from convjit.cost.total import cost
from convjit.cost.traffic import in_memory, rows
from convjit.kernel.ir import Kernel, Op, walk
from convjit.kernel.pressure import pressure
from convjit.machine.machine import Machine
from convjit.nest.counts import Counts
from convjit.pipeline import Compilation
from convjit.schedule.line import listed


def explain(c: Compilation) -> str:
    """Which dataflow, tiles and instructions were taken, why, and what a call reads and writes."""
    asked = c.spec.dataflow if isinstance(c.spec.dataflow, str) else "as written"
    taken = c.schedule.dataflow or "as written"
    lines = [f"{c.spec.name} on {c.machine.name}"]
    lines += _entry("dataflow", [taken if taken == asked else f"{taken} (asked for: {asked})"])
    lines += _entry("schedule", [line for phase in c.schedule.phases for line in phase.lines()])
    lines += _entry("because", c.schedule.reasons)
    lines += _entry("kernels", [_kernel(kernel, c.machine) for kernel in c.kernels])
    sizes = open_sizes(c.spec)
    counts = {nest.name: predict(nest, sizes) for nest in c.nests}
    lines += _entry("traffic", _traffic(c, sizes, counts))
    lines += _entry("cost", _cost(c, sizes, counts))
    return "\n".join(lines) + "\n"


def _entry(title: str, texts: Sequence[str]) -> list[str]:
    """A title, and its lines beside it."""
    return [f"  {title if i == 0 else '':10}{text}" for i, text in enumerate(texts)]


def _kernel(kernel: Kernel, machine: Machine) -> str:
    """Its instructions that multiply and add, and the registers that it needs."""
    rows = {row.name for row in machine.rows}
    used = dict.fromkeys(f"{op.name} {op.type}" for op in _ops(kernel) if op.name in rows)
    what = ", ".join(used) or "no multiplications"
    return f"{kernel.name}: {what}; {pressure(kernel)} registers of {_registers(machine)}{_launch(kernel)}"


def _launch(kernel: Kernel) -> str:
    """On a GPU: "; 7*8 blocks of 128 threads, 13824 bytes shared"."""
    launch = kernel.launch
    if launch is None:
        return ""
    parts = [str(b).removeprefix("size.") for b in launch.blocks if b != 1] or ["1"]
    shared = f", {launch.shared_bytes} bytes shared" if launch.shared_bytes else ""
    return f"; {'*'.join(parts)} blocks of {launch.threads} threads{shared}"


def _ops(kernel: Kernel) -> Iterator[Op]:
    return (stmt for stmt in walk(kernel.body) if isinstance(stmt, Op))


def _registers(machine: Machine) -> int:
    return machine.vector_registers or machine.thread_registers


def _traffic(c: Compilation, sizes: Mapping[str, int], counts: Mapping[str, Counts]) -> list[str]:
    """For each nest and buffer, as the cost model counts: a vector is one access, a broadcast one element."""
    title = "in a call" + (f" with {' '.join(f'{a}={s}' for a, s in sizes.items())}" if sizes else "")
    if any(listed(phase) for phase in c.schedule.phases):
        title += ", lists as long as without zeros"
    table = [("buffer", "level", "loads", "stores", "bytes")]
    for nest in c.nests:
        for t in in_memory(rows(nest, counts[nest.name])):
            table.append((f"{nest.name} {t.buffer}", t.level, f"{t.loads}", f"{t.stores}", f"{t.bytes}"))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [title, *("  ".join(_aligned(row, widths)).rstrip() for row in table)]


def _cost(c: Compilation, sizes: Mapping[str, int], counts: Mapping[str, Counts]) -> list[str]:
    """Operations, and what a model makes of all that is counted; constants bound."""
    found = cost(c, sizes, known=counts)
    products = ", ".join(f"{n} multiply-adds of {d}" for d, n in found.operations.multiplications.items())
    levels = ", ".join(f"{level} {n / found.picojoules:.0%}" for level, n in found.by_level().items())
    return [
        f"{products}; {found.picojoules / 1e6:.3g} uJ by a model ({HOROWITZ.name}), constants bound:",
        f"{levels.replace('memory', 'DRAM')}; {found.bytes} bytes of DRAM",
    ]


def _aligned(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """Two columns of words to the left, numbers to the right."""
    for column, (word, width) in enumerate(zip(row, widths, strict=True)):
        yield word.ljust(width) if column < 2 else word.rjust(width)
