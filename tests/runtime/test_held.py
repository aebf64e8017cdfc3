"""Vectors that a program holds: calls without them, with others, bound, on every way to call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convjit
from convjit.errors import ConvError
from convjit.runtime.compiled import CompiledConv

TEXT = """conv c {
    input x : f32[N=?, W=9, C=4]; param s : f32[OC] = (1, 2, 3, 4, 5)
    weight w : f32[OC=5, KW=3, IC=4]; bias b : f32[OC]; then scale s per OC
}"""
R = np.random.default_rng(0)
X, W = (R.integers(-4, 5, shape).astype(np.float32) for shape in ((2, 9, 4), (5, 3, 4)))
B, OWN, OTHER = np.arange(5, dtype=np.float32), np.arange(1, 6, dtype=np.float32), np.full(5, 7, np.float32)
PLAIN = TEXT.replace(" = (1, 2, 3, 4, 5)", "")
TARGETS = ("cpu", "interpret")


def kernel(target: str = "cpu") -> Any:
    return convjit.compile(TEXT, target)


def want(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return convjit.reference(PLAIN, X, vector, W, B)


@pytest.mark.parametrize("target", TARGETS)
def test_calls(target: str) -> None:
    k = kernel(target)
    for got in (k(X, W, B), k(X, b=B, w=W), k.function(X, W, B), k(X, W, B, s=OWN), convjit.reference(TEXT, X, W, B)):
        np.testing.assert_array_equal(got, want(OWN))
    for got in (k(X, W, B, s=OTHER), k(x=X, w=W, b=B, s=OTHER), convjit.reference(TEXT, X, W, B, s=OTHER)):
        np.testing.assert_array_equal(got, want(OTHER))
    out = np.empty_like(want(OWN), np.float32)
    assert k(X, W, B, out=out) is out and np.array_equal(out, want(OWN))
    assert k(X, W, B, s=OTHER, out=out) is out and np.array_equal(out, want(OTHER))


@pytest.mark.parametrize("target", TARGETS)
def test_binding(target: str) -> None:
    k = kernel(target)
    for bound in (k.bind(W, B), k.bind(b=B, w=W)):
        np.testing.assert_array_equal(bound(X), want(OWN))
    np.testing.assert_array_equal(k.bind(W, B, s=OTHER)(X), want(OTHER))
    np.testing.assert_array_equal(k.bind(W)(X, B), want(OWN))


def test_what_a_kernel_says_of_itself_is_that_of_the_convolution() -> None:
    k: Any = kernel()
    plain: Any = convjit.compile(PLAIN)
    assert isinstance(k, CompiledConv) and k.stages == plain.stages
    assert k.dump("asm") == plain.dump("asm") and k.explain() == plain.explain()
    assert k.spec.tensor("s").values == (1, 2, 3, 4, 5)
    k(X, W, B)
    k.threads = 1
    assert k.threads == k.bind(W).threads == 1
    with pytest.raises(ConvError, match="The number of threads is 0"):
        k.threads = 0


def test_other_arrays_than_numpys() -> None:
    torch = pytest.importorskip("torch")
    got = kernel()(torch.from_numpy(X), torch.from_numpy(W), torch.from_numpy(B))
    assert isinstance(got, torch.Tensor) and np.array_equal(got.numpy(), want(OWN))


def test_calls_at_the_same_time() -> None:
    k, wrong = kernel(), []

    def call() -> None:
        for _ in range(20):
            if not np.array_equal(k(X, W, B), want(OWN)):
                wrong.append(1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: k(X, W), "c(x, w, b): 'b' is missing."),
        (lambda k: k(X, W, B, OWN), "c(x, w, b) takes 3 arrays, 4 were given."),
        (lambda k: k(X, W, B, B, s=OWN), "c(x, w, b) takes 3 arrays, 4 were given."),
        (lambda k: k(X, W, s=OWN), "c(x, s, w, b): 'b' is missing."),
        (lambda k: k(X, W, B, x=X, s=OWN), "c(x, w, b, s) got 'x' twice, by position and by name."),
        (lambda k: k(X, W, B, q=X), "c(x, w, b) has no array 'q'; it takes x, w, b."),
        (lambda k: k(X, W, B, s=OWN[:4]), "s: expected f32[OC=5], got f32[4]."),
        (lambda k: k.bind(W, B, OWN), "c.bind(w, b) takes 2 arrays, 3 were given."),
        (lambda k: k.bind(z=W), "c.bind(w, b, x, s) has no array 'z'; it takes w, b, x, s."),
    ],
)
def test_wrong_calls(call: Callable[[Any], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        call(kernel())
    assert str(error.value) == message


def test_a_promise_is_checked_beside_them() -> None:
    text = """conv q {
        input x : u8 in 0..9 [N=1, W=4, C=1] scale 1; weight w : i8[OC=2, KW=1, IC=1] scale ws per OC
        param ws : f32[OC] = 0.5; output y : f32[N, OW, OC]
    }"""
    k: Any = convjit.compile(text, check=True)
    x, w = np.arange(4, dtype=np.uint8).reshape(1, 4, 1), np.array([[[2]], [[4]]], np.int8)
    for got in (k(x, w), k.bind(w)(x)):
        assert got.tolist() == [[[0, 0], [1, 2], [2, 4], [3, 6]]]
    with pytest.raises(ConvError, match="The array 'x' holds 12, outside the range"):
        k(x + np.uint8(9), w)


def test_zero_points_that_a_program_holds_take_part_in_the_certificate() -> None:
    text = """conv z {
        input x : u8[N=1, W=4, C=8]; weight w : i8[OC=2, KW=1, IC=8] zero wz per OC; param wz : i8[OC] = (1, -2)
    }"""
    k: Any = convjit.compile(text)
    x, w = R.integers(0, 256, (1, 4, 8)).astype(np.uint8), R.integers(-128, 128, (2, 1, 8)).astype(np.int8)
    bound = k.bind(w)
    np.testing.assert_array_equal(bound(x), convjit.reference(text, x, w))
    assert bound.certificate is not None
