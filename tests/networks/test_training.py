"""Gradients by convolutions are those of the loss."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.networks.training import Shape, Trainer, cross_entropy

NETWORK = (Shape(2, 5, 3, 1), Shape(5, 4, 3, 0), Shape(4, 3, 4, 0, relu=False))
STREAM = np.random.default_rng(0)
X = STREAM.standard_normal((4, 2, 6, 6)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])


def loss(weights: list[np.ndarray], biases: list[np.ndarray]) -> float:
    """The same network in float64, tap by tap."""
    x = X.astype(np.float64)
    for s, w, b in zip(NETWORK, weights, biases, strict=True):
        padded = np.pad(x, ((0, 0), (0, 0), (s.pad, s.pad), (s.pad, s.pad)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (s.side, s.side), (2, 3))
        y = np.einsum("nchwkl,ockl->nohw", windows, w) + b.reshape(-1, 1, 1)
        x = np.maximum(y, 0) if s.relu else y
    return cross_entropy(x.reshape(4, 3), LABELS)[0]


@pytest.mark.parametrize("layer", range(3))
def test_gradients_are_slopes_of_the_loss(layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(NETWORK, 6, 4, 0.01)
    found: list[np.ndarray] = []
    monkeypatch.setattr(trainer, "_update", found.extend)
    weights = [w.astype(np.float64) for w in trainer.weights]
    biases = [b.astype(np.float64) for b in trainer.biases]
    assert trainer.step(X, LABELS) == pytest.approx(loss(weights, biases), rel=1e-5)
    for values, gradient in ((weights[layer], found[layer]), (biases[layer], found[3 + layer])):
        assert gradient.shape == values.shape
        for at in (0, values.size // 2, values.size - 1):
            flat, step = values.reshape(-1), 1e-6
            kept = flat[at]
            flat[at] = kept + step
            above = loss(weights, biases)
            flat[at] = kept - step
            slope = (above - loss(weights, biases)) / (2 * step)
            flat[at] = kept
            assert gradient.reshape(-1)[at] == pytest.approx(slope, rel=1e-3, abs=1e-5)


def test_training_gives_the_same_weights_twice() -> None:
    one, two = Trainer(NETWORK, 6, 4, 0.01), Trainer(NETWORK, 6, 4, 0.01)
    losses = [(one.step(X, LABELS), two.step(X, LABELS)) for _ in range(30)]
    assert all(a == b for a, b in losses)
    assert all(np.array_equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))
    assert losses[-1][0] < losses[0][0] / 10
