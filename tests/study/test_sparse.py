"""The measuring of sparse kernels: what is compared, what is computed from times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from convjit.errors import ConvError, InternalError
from convjit.machine.registry import get
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.study import sparse
from convjit.study.sparse import Point, Sparse, measure

TEXT = """conv a {{
    input x : {x}[N={n}, H=6, W=9, C=4]
    weight w : {w}[OC=8, KH=3, KW=3, IC=4]
    output y : {y}[N, OH, OW, OC]
    bias b : {y}[OC]
    pad same
}}"""


def spec(x: str = "f32", w: str = "f32", y: str = "f32", n: str = "1") -> ConvSpec:
    (found,) = from_text(TEXT.format(x=x, w=w, y=y, n=n)).values()
    return found


def once(calls: Mapping[str, Callable[[], object]]) -> Mapping[str, float]:
    """Each called; made-up seconds."""
    for call in calls.values():
        call()
    return {"dense": 3.0, "list": 1.5}


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("types", [("f32", "f32", "f32"), ("u8", "i8", "i32")])
def test_both_kernels_are_run_and_compared(types: tuple[str, str, str]) -> None:
    found = measure(spec(*types), get("cpu:avx2"), once, zeros=(0.5, 1.0))
    assert [p.zeros for p in found.points] == [0.5, 1.0]
    assert found.points[1].density == 0 and 0.4 < found.points[0].density <= 0.5
    assert found.points[0].speedup == 2 and 0 <= found.modelled <= 1
    assert (found.types, found.target, found.threads) == (types, "cpu:avx2", 1)


def test_the_break_even_lies_between_two_points() -> None:
    points = (Point(0.5, 0.5, 1.0, 2.0), Point(0.9, 0.1, 1.0, 0.4), Point(0.7, 0.3, 1.0, 0.8))
    found = Sparse("a", ("f32", "f32", "f32"), "cpu:avx2", 1, points, 0.4)
    assert found.break_even == pytest.approx(0.3 + 0.2 * 0.2 / 1.2)
    assert replace(found, points=points[1:]).break_even is None


def test_open_sizes_are_not_measured() -> None:
    with pytest.raises(ConvError, match="Speed is measured of known sizes"):
        measure(spec(n="?"), get("cpu:scalar"), once)


def test_kernels_that_disagree_are_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "agree", lambda a, b: False)
    with pytest.raises(InternalError, match="a: the list's result is not that of all numbers"):
        measure(spec(), get("cpu:scalar"), once, zeros=(0.5,))


def test_what_agrees() -> None:
    a = np.array([1.0, 100.0], np.float32)
    assert sparse.agree(a, a + np.float32(1e-4)) and not sparse.agree(a, a + 1)
    whole = np.array([1, 2], np.int32)
    assert sparse.agree(whole, whole) and not sparse.agree(whole, whole + 1)
