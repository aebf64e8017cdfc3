"""A small CNN for scikit-learn's digits: trained here, in about ten seconds, and tested in several arithmetics.

1797 images of 8x8 pixels (UCI, Optical Recognition of Handwritten Digits): 1200 to train and to calibrate, 597 to test. The
arithmetics are applied to the trained network as it is, without training again. `i4` is emulated: numbers are rounded half to even and
clamped to -8..7, and multiplied by kernels of bytes; its accuracy is that of 4 bits, its speed is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convjit.front.arithmetic import Array, needs_scales
from convjit.front.difference import nrmse
from convjit.front.layer import ConvLayer
from convjit.front.scales import scales
from convjit.networks.packages import package
from convjit.networks.training import Shape, Trainer

ARITHMETICS = ("f32", "i16", "i8", "i4", "i8_per_channel")
TRAINED_ON, BATCH, EPOCHS, RATE = 1200, 50, 12, 3e-3

NETWORK = (
    Shape(1, 16, 3, 1),  # 8x8
    Shape(16, 24, 3, 0),  # 6x6
    Shape(24, 32, 3, 0),  # 4x4
    Shape(32, 10, 4, 0, relu=False),  # 1x1: a score for each of ten digits
)


@dataclass(frozen=True)
class Tested:
    """The trained network in one arithmetic, on images that it has not seen: the share that it recognises, and how many answers are
    not those of f32. `layers`: the NRMSE of each layer against f32 of the same input; `end_to_end`: that of the scores against a run that
    is f32 from the start."""

    arithmetic: str
    accuracy: float
    changed: int
    images: int
    layers: tuple[float, ...]
    end_to_end: float


def study(
    arithmetics: Sequence[str] = ARITHMETICS,
    epochs: int = EPOCHS,
    progress: Callable[[int, float], object] = lambda epoch, loss: None,
) -> tuple[Tested, ...]:
    """Train, then test in each arithmetic. `progress` is told the number of each epoch and its mean loss.

    Every choice is made by seeds; sums are added up in the order of the kernels of this machine, so that another machine may recognise
    an image more or less. Raises `Unavailable` without scikit-learn.
    """
    x, labels = images()
    trainer, stream = Trainer(NETWORK, 8, BATCH, RATE), np.random.default_rng(2)
    for epoch in range(epochs):
        mixed = stream.permutation(TRAINED_ON).reshape(-1, BATCH)
        progress(epoch + 1, float(np.mean([trainer.step(x[rows], labels[rows]) for rows in mixed])))
    seen, unseen = x[:TRAINED_ON], x[TRAINED_ON:]
    exact = in_arithmetic(trainer, "f32", seen)
    return tuple(_tested(exact, in_arithmetic(trainer, a, seen), unseen, labels[TRAINED_ON:]) for a in arithmetics)


def images() -> tuple[Array, Array]:
    """All images (1797, 1, 8, 8) from 0 to 1, and their digits, in a random order that is always the same."""
    data = package("sklearn.datasets", "scikit-learn").load_digits()
    order = np.random.default_rng(1).permutation(len(data.target))
    return (data.images[order, None] / 16).astype(np.float32), data.target[order]


def in_arithmetic(trained: Trainer, arithmetic: str, calibration: Array) -> list[ConvLayer]:
    """The trained network's layers; their scales are chosen from what each of them meets in f32."""
    found, x = [], calibration
    for number, (s, w, b) in enumerate(zip(NETWORK, trained.weights, trained.biases, strict=True)):
        plain = ConvLayer(w, b, s.window)
        given = scales(plain.plain(x.shape), [x], w, arithmetic) if needs_scales(arithmetic) else None
        found.append(ConvLayer(w, b, s.window, arithmetic, given, name=f"conv{number}"))
        x = np.maximum(plain(x), 0)
    return found


def _tested(exact: list[ConvLayer], other: list[ConvLayer], x: Array, labels: Array) -> Tested:
    """Both networks side by side."""
    y, wanted, errors = x, x, []
    for mine, theirs, s in zip(other, exact, NETWORK, strict=True):
        same, y, wanted = theirs(y), mine(y), theirs(wanted)
        errors.append(nrmse(y, same))
        if s.relu:
            y, wanted = np.maximum(y, 0), np.maximum(wanted, 0)
    answers, plain = (v.reshape(len(x), -1).argmax(1) for v in (y, wanted))
    accuracy, changed = float(np.mean(answers == labels)), int(np.sum(answers != plain))
    return Tested(other[0].arithmetic, accuracy, changed, len(x), tuple(errors), nrmse(y, wanted))
