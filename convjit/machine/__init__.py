"""Machines as data: `machine.get("cpu:avx2")`, `machine.NAMES`."""

from convjit.machine.machine import Cache, Machine, Row
from convjit.machine.registry import MACHINES, NAMES, get

__all__ = ["MACHINES", "NAMES", "Cache", "Machine", "Row", "get"]
