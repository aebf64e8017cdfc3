"""An op about to be written, and what a writer gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.emit.words import llvm_type
from convjit.errors import InternalError
from convjit.kernel.ir import Op, Type, element, lanes
from convjit.kernel.types import FLOATS
from convjit.machine import Machine


@dataclass(frozen=True)
class Form:
    """An op about to be written: its operands' types in the kernel and in LLVM."""

    op: Op
    operands: tuple[Type, ...]
    machine: Machine
    threads: int = 0

    @property
    def type(self) -> str:
        """The result's type in LLVM."""
        return llvm_type(self.op.type)

    @property
    def floats(self) -> bool:
        """Whether it computes with floating-point numbers."""
        return element(self.op.type) in FLOATS

    @property
    def unsigned(self) -> bool:
        """Whether its integers have no sign."""
        return self.op.type[0] == "u"

    @property
    def lanes(self) -> int:
        """How many numbers at once."""
        return lanes(self.op.type)

    def operand(self, at: int) -> str:
        """An operand's type in LLVM."""
        return llvm_type(self.operands[at])

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that is a whole number."""
        value = self.op.attribute(name, default)
        if not isinstance(value, int):
            raise InternalError(f"{self.op.name}: attribute {name} must be a whole number, not {value!r}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of them."""
        value = self.op.attribute(name)
        if not isinstance(value, tuple):
            raise InternalError(f"{self.op.name}: attribute {name} must be a list, not {value!r}")
        return tuple(int(v) for v in value)


Written = tuple[tuple[str, ...], tuple[str, ...]]
"""Lines of the body, and the functions they call, as declarations."""
Writer = Callable[[Form], Written]
