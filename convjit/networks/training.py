"""Training a chain of convolutions with convjit's kernels.

All three convolutions of a layer are ours: the output; the gradient of the input, which is a convolution with the kernel turned
round; and the gradient of the weights, in which images take the place of channels and the output's gradient that of the kernel. What is
left (softmax, Adam) is NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convjit import api
from convjit.front.arithmetic import Array
from convjit.front.layer import Window
from convjit.spec.build import Conv

SLOW, FAST = 0.9, 0.999
"""How much of the means of gradients, and of their squares, Adam keeps in a step."""


@dataclass(frozen=True)
class Shape:
    """One layer, stride 1: channels in and out, the side of its kernel, its padding; whether `relu` follows."""

    ic: int
    oc: int
    side: int
    pad: int
    relu: bool = True

    @property
    def window(self) -> Window:
        """Its steps and borders."""
        return Window((1, 1), (1, 1), ((self.pad, self.pad),) * 2)

    def out(self, size: int) -> int:
        """The side of the output, of that of the input."""
        return size + 2 * self.pad - self.side + 1


@dataclass(frozen=True)
class Kernels:
    """The three convolutions of a layer: y of x, the gradient of x, the gradient of w."""

    forward: Any
    back: Any
    weights: Any


class Trainer:
    """A chain of layers while it is trained on batches of one size, by Adam (Kingma and Ba, arXiv:1412.6980) on the cross entropy of its
    last layer, whose output has one position. `weights` (OC, IC, side, side) and `biases` (OC,) are its state."""

    def __init__(self, network: Sequence[Shape], size: int, batch: int, rate: float, seed: int = 0) -> None:
        stream = np.random.default_rng(seed)
        self.network, self._rate, self._steps = network, rate, 0
        self.weights: list[Array] = [_first(stream, s) for s in network]
        self.biases: list[Array] = [np.zeros(s.oc, np.float32) for s in network]
        self._kernels = []
        for s in network:
            self._kernels.append(_kernels(s, size, batch))
            size = s.out(size)
        self._moments = [(np.zeros_like(p), np.zeros_like(p)) for p in (*self.weights, *self.biases)]

    def step(self, x: Array, labels: Array) -> float:
        """One step on a batch x (N, C, side, side) with `labels` (N,); the loss before it."""
        inputs = [x]
        for k, w, b, s in zip(self._kernels, self.weights, self.biases, self.network, strict=True):
            y = k.forward(inputs[-1], w, b)
            inputs.append(np.maximum(y, 0) if s.relu else y)
        scores = inputs.pop()
        loss, gradient = cross_entropy(scores.reshape(len(x), -1), labels)
        self._update(self._gradients(inputs, gradient.reshape(scores.shape)))
        return loss

    def _gradients(self, inputs: Sequence[Array], gradient: Array) -> list[Array]:
        """Those of all weights, then of all biases. `inputs` are those of the layers, `gradient` that of the last output."""
        weights, biases = [], []
        for i in reversed(range(len(self.network))):
            k = self._kernels[i]
            weights.append(k.weights(_swapped(inputs[i]), _swapped(gradient)).swapaxes(0, 1))
            biases.append(gradient.sum((0, 2, 3)))
            if i:
                turned = _swapped(self.weights[i][:, :, ::-1, ::-1])
                gradient = k.back(gradient, turned) * (inputs[i] > 0)
        return [*reversed(weights), *reversed(biases)]

    def _update(self, gradients: Sequence[Array]) -> None:
        self._steps += 1
        for p, g, (mean, square) in zip((*self.weights, *self.biases), gradients, self._moments, strict=True):
            mean += (1 - SLOW) * (g - mean)
            square += (1 - FAST) * (g * g - square)
            size = np.sqrt(square / (1 - FAST**self._steps)) + 1e-8
            p -= (self._rate * mean / (1 - SLOW**self._steps) / size).astype(np.float32)


def cross_entropy(scores: Array, labels: Array) -> tuple[float, Array]:
    """The mean cross entropy of softmax of `scores` (N, classes), and its gradient."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares = powers / powers.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(-np.log(shares[rows, labels] + 1e-9).mean())
    shares[rows, labels] -= 1
    return loss, (shares / len(labels)).astype(np.float32)


def _first(stream: np.random.Generator, s: Shape) -> Array:
    """Random weights with the deviation that keeps the size of activations (He et al., arXiv:1502.01852)."""
    deviation = np.sqrt(2 / (s.ic * s.side**2))
    weights: Array = stream.standard_normal((s.oc, s.ic, s.side, s.side)) * deviation
    return weights.astype(np.float32)


def _kernels(s: Shape, size: int, batch: int) -> Kernels:
    out = s.out(size)
    forward = _convolution((batch, s.ic, size), (s.oc, s.side), s.pad, bias=True)
    back = _convolution((batch, s.oc, out), (s.ic, s.side), s.side - 1 - s.pad)
    return Kernels(forward, back, _convolution((s.ic, batch, size), (s.oc, out), s.pad))


def _convolution(x: tuple[int, int, int], w: tuple[int, int], pad: int, bias: bool = False) -> Any:
    """Of x (N, C, side, side) with w (OC, C, side, side)."""
    spec = Conv(
        input=("x", "f32", dict(N=x[0], C=x[1], H=x[2], W=x[2])),
        weight=("w", "f32", dict(OC=w[0], IC=x[1], KH=w[1], KW=w[1])),
        bias=("b", "f32", "OC") if bias else None,
        pad=pad,
    )
    return api.compile(spec)


def _swapped(array: Array) -> Array:
    """With its first two axes in each other's place."""
    return np.ascontiguousarray(array.swapaxes(0, 1))
