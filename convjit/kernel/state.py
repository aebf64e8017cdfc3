"""What the parts of `from_nest` share while one function is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from convjit.errors import InternalError
from convjit.kernel.access import Access
from convjit.kernel.alive import Stored
from convjit.kernel.builder import Builder
from convjit.kernel.ir import If, Merged, Operand, Type
from convjit.kernel.variables import Variables
from convjit.machine.machine import Machine
from convjit.nest.ir import Buffer, Load, Nest, Stmt

Register = tuple[str, tuple[int, ...]]
Terms = tuple[tuple[str, int], ...]


@dataclass
class State:
    """`registers` are the values of register buffers' elements, `shapes` their types, `stores` how they are
    stored behind the statement that is written. `block` writes a list of statements: whoever writes a loop or a region calls it for the body."""

    nest: Nest
    machine: Machine
    buffers: dict[str, Buffer]
    b: Builder
    v: Variables
    memory: Access
    block: Callable[[tuple[Stmt, ...]], None]
    registers: dict[Register, Operand] = field(default_factory=dict)
    shapes: dict[str, Type] = field(default_factory=dict)
    stores: dict[str, Stored | None] = field(default_factory=dict)
    keys: dict[tuple[int, int], tuple[Load, list[tuple[int, Terms]]]] = field(default_factory=dict)

    @property
    def gpu(self) -> bool:
        """Whether threads of a GPU run it."""
        return self.machine.kind == "cuda"

    def branch(self, condition: str, write: Callable[[], None]) -> None:
        """What `write` writes happens where the condition holds; registers keep their value elsewhere."""
        before = dict(self.registers)
        outer, _ = self.b.begin({})
        write()
        after = self.registers
        changed = [k for k, value in after.items() if before.get(k) is not value]
        body = self.b.end(outer)
        merged = []
        self.registers = dict(before)
        for key in changed:
            result = self.b.fresh()
            merged.append(Merged(result, self.shapes[key[0]], after[key], before.get(key, 0)))
            self.registers[key] = result
        if body or merged:
            self.b.lines.append(If(condition, body, tuple(merged), self.b.origin))

    def key(self, load: Load) -> Register:
        """Which register: an index of numbers, lanes left out. Sorted once per place, evaluated per copy."""
        place = (id(load), len(self.v.simd))
        known = self.keys.get(place)
        if known is None or known[0] is not load:
            lanes = {n for n, _ in self.v.simd} | ({self.v.dot[0]} if self.v.dot else set())
            index = [(a.const, a.terms) for a in load.index if not a.names() & lanes]
            self.keys[place] = known = (load, index)
        static = self.v.static
        try:
            return load.buffer, tuple(c + sum(k * static[n] for n, k in terms) for c, terms in known[1])
        except KeyError as missing:
            raise InternalError(f"{load}: a register needs a number that is known, {missing} is not") from None

    def dtype_of(self, buffer: str) -> str:
        """The type of a buffer."""
        return self.buffers[buffer].dtype
