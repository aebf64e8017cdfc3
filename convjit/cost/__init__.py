"""Numbers out of nests: accesses, operations, bytes between caches, energy."""

from convjit.cost.total import Cost, cost

__all__ = ["Cost", "cost"]
