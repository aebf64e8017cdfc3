"""A convolution whose program holds vectors itself (`param ws : f32[OC] = (0.1, 0.2)`): calls are given the other arrays.

It is the convolution with those vectors bound, made when it is first called: on a GPU once for each device. A call or `bind`
that names such a vector uses the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from convjit.runtime.checks import arrange
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.runtime.plan import OUT


class HeldConv(CompiledConv):
    """`inner` with the vectors `held` as defaults, which are given by name or not at all."""

    def __init__(self, inner: CompiledConv, held: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._inner, self._held, self._made = inner, dict(held), dict[int, BoundConv]()
        self._python = inner._python
        super().__init__(
            inner._bound,
            spec=inner.spec,
            stages={stage: partial(inner.dump, stage) for stage in inner.stages},
            explanation=inner.explain,
            constants=tuple(name for name in inner._constants if name not in held),
            arithmetic=inner.arithmetic,
        )

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """As the convolution's own call, with the vectors of the program where no others are named."""
        if named.keys().isdisjoint(self._held):
            return self._default((*arrays, *named.values()))(*arrays, **named)
        out = {OUT: named.pop(OUT)} if OUT in named else {}
        names = [a.name for a in self._python.plan.params if a.name not in self._held]
        return self._inner(**self._beside(names, arrays, named, self._python.plan.program.name), **out)

    @property
    def function(self) -> Callable[..., Any]:
        """The same call as a function."""
        return self.__call__

    @property
    def threads(self) -> int:
        """The number of workers of a call."""
        return self._inner.threads

    @threads.setter
    def threads(self, count: int) -> None:
        for conv in (self._inner, *self._made.values()):
            conv.threads = count

    def bind(self, *arrays: Any, **named: Any) -> BoundConv:
        """As `CompiledConv.bind`; the program's own vectors are bound, too, where no others are named."""
        title = f"{self._python.plan.program.name}.bind"
        return self._inner.bind(**self._beside(list(self._constants), arrays, named, title))

    def _beside(self, names: list[str], arrays: tuple[Any, ...], named: Mapping[str, Any], call: str) -> dict[str, Any]:
        """Arrays by name, those of `names` also by position, and the vectors of the program beside them."""
        more = [a.name for a in self._python.plan.params if a.name not in names]
        known = names if len(arrays) > len(names) else [*names, *more]
        given = arrange(known, arrays, named, call, partial=True)
        return {**self._own(tuple(given.values()), given), **given}

    def _own(self, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """The vectors of the program that are not named, where the arrays lie."""
        place = self._python.place(arrays)
        return {name: self._python.put(vector, place) for name, vector in self._held.items() if name not in named}

    def _default(self, arrays: tuple[Any, ...]) -> BoundConv:
        """The convolution with the program's vectors bound, where the arrays lie."""
        place = self._python.place(arrays)
        if place not in self._made:
            self._made[place] = self._inner.bind(**self._own(arrays, {}))
        return self._made[place]
