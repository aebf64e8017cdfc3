"""What convjit knows about a machine, as data: registers, caches, and the instructions that multiply and add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from convjit.errors import InternalError

Meaning = Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]], np.ndarray[Any, Any]]
"""(a, b, accumulator) -> result. Lanes are the last dimension; dimensions before it are independent copies."""


@dataclass(frozen=True)
class Cache:
    """A level of memory as one core (CPU) or the whole chip (GPU) sees it; bandwidth in bytes per cycle of one core."""

    name: str
    bytes: int
    line: int
    bandwidth: float


@dataclass(frozen=True)
class Row:
    """One instruction that multiplies and adds.

    `types` are the number types of a, b and the accumulator as the language names them; `roles` say how many of
    n (outputs side by side), k (products summed into one output) and m one instruction covers, as in
    `(("n", 16), ("k", 4))`. `operands` are the kernel types of a, b, accumulator; the result's is the accumulator's.
    A fragment (GPU matrices) is a line of the schedule's language: which element lies in which register and lane.

    `spare` registers are needed beside the operands and the sums: products on their way, constants.

    `proof` names what must be known of the numbers, or the row is not exact: "pairs" (no two neighbouring products of bytes
    leave 16 bits together).

    `code` is LLVM IR with {out} {a} {b} {acc} and {t}, the start of names for values in between; `declare` what it
    calls. `feature` (CPU) or `sm` and `ptx` (GPU) is what the machine must have. `meaning` is the definition.
    """

    name: str
    types: tuple[str, str, str]
    roles: tuple[tuple[str, int], ...]
    operands: tuple[str, str, str]
    code: tuple[str, ...]
    meaning: Meaning = field(compare=False)
    declare: tuple[str, ...] = ()
    feature: str = ""
    sm: int = 0
    ptx: int = 0
    fragments: tuple[str, str, str] = ("", "", "")
    proof: str = ""
    spare: int = 0

    def role(self, name: str) -> int:
        """How many of that role one instruction covers; 1 where it says nothing."""
        return dict(self.roles).get(name, 1)


@dataclass(frozen=True)
class Machine:
    """A target. `name` is how the language writes it.

    CPU: `llvm_features` is the list that LLVM is given on top of `llvm_cpu`, `required` the flags that a processor
    must show in /proc/cpuinfo; `vector_bits` is 0 where vector instructions are not to be used; `masks`: a mask for
    the lanes costs nothing (AVX-512); `rounding`: it has an instruction that rounds to whole numbers;
    `shuffle_for_fma`: a shuffle takes the place of a multiply-add. In a cycle it starts `fma_per_cycle` multiply-adds,
    each ready after `fma_latency`, and `loads_per_cycle` vector loads. A load that is hidden behind multiply-adds still
    costs `load_cost` cycles: it takes room in every queue. `stream_shown` is the part of the way from the third cache that
    multiply-adds do not hide where an input is walked in order.

    GPU: `sm` and the least `ptx` version it can be written in (sm_90a: 90 and 80), `shared_bytes` a block may ask
    for, `registers` of one multiprocessor, `thread_registers` at most for one thread, `vector_bits` of one access.
    """

    name: str
    kind: str
    llvm_cpu: str
    llvm_features: str
    required: tuple[str, ...]
    vector_bits: int
    vector_registers: int
    masks: bool
    caches: tuple[Cache, ...]
    rows: tuple[Row, ...]
    rounding: bool = True
    shuffle_for_fma: bool = False
    fma_per_cycle: int = 2
    fma_latency: int = 4
    loads_per_cycle: int = 2
    load_cost: float = 0.07
    stream_shown: float = 0.0
    sm: int = 0
    ptx: int = 0
    shared_bytes: int = 0
    registers: int = 0
    thread_registers: int = 0
    multiprocessors: int = 0
    threads_per_multiprocessor: int = 0

    def __post_init__(self) -> None:
        seen: set[tuple[str, str]] = set()
        for row in self.rows:
            key = row.name, row.operands[2]
            if key in seen:
                raise InternalError(f"{self.name}: two instruction rows are named {key[0]} and give {key[1]}")
            seen.add(key)
            if row.feature and row.feature not in self.features:
                raise InternalError(
                    f"{self.name}: row {row.name} needs {row.feature}, the machine has {self.llvm_features}"
                )
            if max(row.sm - self.sm, 0):
                raise InternalError(
                    f"{self.name}: row {row.name} needs sm_{row.sm}, the machine is sm_{self.sm}"
                )

    @property
    def features(self) -> frozenset[str]:
        """The LLVM features that are switched on by name."""
        return frozenset(word[1:] for word in self.llvm_features.split(",") if word.startswith("+"))

    def lanes(self, bits: int) -> int:
        """How many numbers of so many bits the widest vector instruction computes with; 1 without vectors.

        A GPU thread computes with one number (its `vector_bits` are those of one memory access).
        """
        return max(1, self.vector_bits // bits) if self.kind == "cpu" else 1

    def rows_for(self, types: tuple[str, str, str], lanes: int | None = None) -> tuple[Row, ...]:
        """The rows that multiply numbers of these types, with so many outputs side by side, or any number of them."""
        return tuple(r for r in self.rows if r.types == types and lanes in (None, r.role("n")))

    def exact(self, pairs: bool) -> Machine:
        """The machine with the rows that are exact: those that need no proof, or have it."""
        return self if pairs or not any(row.proof for row in self.rows) else _without_proof(self)

    def cache(self, name: str) -> Cache:
        """The level of that name ("L1", "L2", "L3", "memory"; "shared" on a GPU)."""
        for cache in self.caches:
            if cache.name == name:
                return cache
        raise InternalError(f"{self.name} has no memory level named {name}")


@lru_cache(maxsize=16)
def _without_proof(machine: Machine) -> Machine:
    return replace(machine, rows=tuple(row for row in machine.rows if not row.proof))
