"""What a machine has to hold a nest: shared memory, threads of a block, a stack. A refusal names the buffers."""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.nest.ir import Buffer, Nest

STACK = 512 * 1024
"""Bytes of scratch memory in a function: it stands on the stack of whoever calls."""
THREADS = 1024


def check_limits(nest: Nest, machine: Machine) -> None:
    """Raises ConvError where the nest does not fit the machine."""
    for level, room in (("shared", machine.shared_bytes), ("scratch", STACK)):
        own = [b for b in nest.buffers if b.level == level]
        whole = sum(size(b) for b in own)
        if whole > room:
            parts = ", ".join(f"{b.name} {size(b)}" for b in own)
            text = f"The schedule needs {whole} bytes of {level} memory; {machine.name} has {room}."
            raise ConvError.of(text, note=f"Bytes by buffer: {parts}.", hint="Stage smaller tiles, or shorter rings.")
    if nest.grid and not 1 <= nest.grid.threads <= THREADS:
        text = f"The schedule needs blocks of {nest.grid.threads} threads; a block has at most {THREADS}."
        raise ConvError.of(text, hint="Give fewer loops to warps or threads, and more to blocks.")


def size(buffer: Buffer) -> int:
    """Bytes, every slot of a ring counted."""
    assert buffer.layout
    return buffer.layout.elements() * bits(buffer.dtype) // 8 * buffer.ring
