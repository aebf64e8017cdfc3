"""Output sizes and padding. Along one axis: input size i, kernel k, stride s, dilation d, padding (low, high)."""

from __future__ import annotations


def reach(kernel: int, dilation: int) -> int:
    """Input positions that a dilated kernel spans: d (k - 1) + 1."""
    return dilation * (kernel - 1) + 1


def out_size(size: int, kernel: int, stride: int, dilation: int, pad: tuple[int, int]) -> int:
    """floor((i + low + high - reach) / s) + 1; may be below 1 when the kernel does not fit."""
    return (size + sum(pad) - reach(kernel, dilation)) // stride + 1


def transposed_out_size(size: int, kernel: int, stride: int, dilation: int, pad: tuple[int, int]) -> int:
    """s (i - 1) + reach - low - high: the size that the ordinary convolution would map back to i."""
    return stride * (size - 1) + reach(kernel, dilation) - sum(pad)


def same_padding(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    """Padding for an output of ceil(i / s), as TensorFlow's SAME and ONNX's SAME_UPPER.

    An odd cell goes behind, or in front when `lower` (SAME_LOWER).
    """
    out = -(-size // stride)
    return _split(max((out - 1) * stride + reach(kernel, dilation) - size, 0), lower)


def transposed_same_padding(kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    """Cropping for an output of i s, as ONNX's ConvTranspose."""
    return _split(max(reach(kernel, dilation) - stride, 0), lower)


def _split(total: int, lower: bool) -> tuple[int, int]:
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)
