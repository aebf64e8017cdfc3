"""PyTorch and JAX arrays: in place, results of the same kind, and their own sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.runtime import kernels

X = np.arange(8, dtype=np.float32).reshape(1, 8)
W = np.array([3], np.float32)


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def jax() -> Any:
    return pytest.importorskip("jax")


def test_torch_in_torch_out(torch: Any) -> None:
    kernel = kernels.scale()
    x, w = torch.from_numpy(X), torch.from_numpy(W)
    for result in (kernel(x, w), kernel(x, W), kernel.bind(w)(x), kernel(x=x, w=w)):
        assert type(result) is torch.Tensor
        np.testing.assert_array_equal(result.numpy(), X * 3)
    assert type(kernel(X, w)) is np.ndarray
    y = torch.zeros(1, 8)
    assert kernel(x, w, out=y) is y
    np.testing.assert_array_equal(y.numpy(), X * 3)
    assert kernel.bind(w)(X, out=y) is y


def test_torch_with_open_sizes(torch: Any) -> None:
    result = kernels.opened()(torch.ones(5), torch.from_numpy(W), torch.zeros(5, 2))
    assert result.tolist() == [3.0] * 5


def test_torch_bf16(torch: Any) -> None:
    kernel = kernels.copy16("bf16")
    x, y = torch.tensor([5], dtype=torch.bfloat16), torch.zeros(1, dtype=torch.bfloat16)
    result = kernel(x)
    assert result.dtype == torch.bfloat16
    assert result.item() == 5
    assert kernel(x, out=y) is y
    assert kernel.bind(x=x)() == 5
    with pytest.raises(TypeError) as caught:
        kernel(torch.zeros(1, dtype=torch.float16))
    assert str(caught.value) == "x: expected bf16[1], got f16[1]. Convert it: x.to(torch.bfloat16)."


def test_torch_sentences(torch: Any) -> None:
    kernel = kernels.scale()
    w = torch.from_numpy(W)
    gradient = torch.zeros(1, 8, requires_grad=True)
    other = (
        "x is on meta, and this kernel runs on the CPU; copy it there: x.cpu(), or compile for that device."
    )
    cases = (
        (
            torch.zeros(1, 8, dtype=torch.int32),
            TypeError,
            ("x: expected f32[N=1, C=8], got i32[1, 8]. Convert it: x.to(torch.float32)."),
        ),
        (
            torch.zeros(1, 16)[:, ::2],
            ValueError,
            ("x is not contiguous: its strides are [16, 2] elements for shape [1, 8]. Pass x.contiguous()."),
        ),
        (torch.zeros(1, 7), ValueError, "x: expected f32[N=1, C=8], got f32[1, 7]."),
        (torch.zeros(1, 8, device="meta"), TypeError, other),
        (
            torch.zeros(1, 8).to_sparse(),
            ValueError,
            "x is a torch.sparse_coo tensor; pass a dense one: x.to_dense().",
        ),
        (
            torch.zeros(1, 8, dtype=torch.complex64).conj(),
            ValueError,
            "x is a lazily conjugated or negated tensor; pass x.resolve_conj().resolve_neg().",
        ),
        (
            gradient,
            ValueError,
            (
                "x requires a gradient, and convjit computes none: pass x.detach(), or call under "
                "torch.no_grad()."
            ),
        ),
    )
    for x, kind, text in cases:
        with pytest.raises(kind) as caught:
            kernel(x, w)
        assert str(caught.value) == text
    with torch.no_grad():
        assert kernel(gradient, w).tolist() == [[0.0] * 8]


def test_torch_out_must_not_overlap(torch: Any) -> None:
    memory = torch.full((12,), 7.0)
    with pytest.raises(ValueError, match="out overlaps x in memory"):
        kernels.scale()(memory[:8].view(1, 8), torch.from_numpy(W), out=memory[4:].view(1, 8))
    assert (memory == 7).all()


def test_a_torch_module_parameter(torch: Any) -> None:
    w = torch.nn.Parameter(torch.from_numpy(W), requires_grad=False)
    np.testing.assert_array_equal(kernels.scale()(X, w), X * 3)


def test_jax_in_jax_out(jax: Any) -> None:
    kernel = kernels.scale()
    x, w = jax.numpy.asarray(X), jax.numpy.asarray(W)
    for result in (kernel(x, w), kernel(x, W), kernel.bind(w)(x)):
        assert isinstance(result, jax.Array)
        np.testing.assert_array_equal(np.asarray(result), X * 3)


def test_jax_arrays_are_read_only(jax: Any) -> None:
    with pytest.raises(
        ValueError, match="out is read-only; pass an array that may be written, or leave out away."
    ):
        kernels.scale()(X, W, out=jax.numpy.zeros((1, 8), np.float32))


def test_jax_bf16(jax: Any) -> None:
    result = kernels.copy16("bf16")(jax.numpy.asarray([5], jax.numpy.bfloat16))
    assert isinstance(result, jax.Array)
    assert result.dtype == jax.numpy.bfloat16
    assert result[0] == 5


def test_jax_sentence_for_another_type(jax: Any) -> None:
    with pytest.raises(TypeError) as caught:
        kernels.scale()(jax.numpy.asarray(X, np.int32), W)
    assert str(caught.value) == "x: expected f32[N=1, C=8], got i32[1, 8]. Convert it: x.astype(jnp.float32)."
