"""A convolution that is called through Python: on a GPU, or by an interpreter."""

from __future__ import annotations

from typing import Any

from convjit.runtime.array_call import ArrayCall, logged
from convjit.runtime.compiled import BoundConv, CompiledConv


class CalledConv(CompiledConv):
    """A convolution called as `python` does it; the other arguments are those of `CompiledConv`."""

    threads = 1

    def __init__(self, python: ArrayCall, **about: Any) -> None:
        self._python = python
        self._call = logged(python)
        super().__init__(CalledBound, **about)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        return self._call(*arrays, **named)


class CalledBound(BoundConv):
    """A convolution with some of its arrays fixed."""

    threads = 1

    def __init__(self, python: ArrayCall, certificate: object) -> None:
        self._python = python
        self._call = logged(python)
        super().__init__(certificate)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        return self._call(*arrays, **named)
