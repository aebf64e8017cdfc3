"""The words that clauses take, and the language's rules about types that are lists."""

from __future__ import annotations

DATAFLOWS = ("auto", "output_stationary", "weight_stationary", "input_stationary", "row_stationary", "zero_skipping")
ALGORITHMS = ("auto", "direct", "winograd", "im2col")
WINOGRAD_TILES = (2, 4, 6)
PROFILES = ("onnx", "stablehlo", "onednn", "xnnpack", "tflite_single", "tflite_double")
INTEGER_PROFILES = ("tflite_single", "tflite_double")
"""The profiles that go from the sum to the output in integers."""

ROUNDINGS = ("toward_zero", "half_even", "half_away", "floor")
COMPUTE_TYPES = ("i8", "i16", "i32", "bf16", "f16", "tf32", "f32")
NARROW_FLOATS = ("bf16", "f16")
"""The types of `compute` that numbers of f32 are rounded to."""

UNCALIBRATED = "convjit.calibrate(spec, x, w) finds the scales for data; `convjit run` does so itself."
"""The way out of `scale auto`."""

PADDINGS = ("valid", "same", "same_lower")

SMALL = ("u8", "i8", "u4", "i4")
INTEGER_PAIRS = frozenset({(x, w) for x in SMALL for w in SMALL} | {("i16", "i16"), ("i16", "i8"), ("i32", "i32")})
"""The integer types of (input, weight) that multiply."""

FLOAT8 = frozenset({"f8e4m3", "f8e5m2"})

STEPS: dict[str, tuple[str, ...]] = {
    "relu": (),
    "relu6": (),
    "clip": ("number", "number"),
    "leaky_relu": ("number",),
    "sigmoid": (),
    "tanh": (),
    "silu": (),
    "gelu": (),
    "hardswish": (),
    "scale": ("param per OC",),
    "add": ("residual",),
    "mul": ("residual",),
}
"""The steps of `then` clauses, and what follows their word."""

COMPARING_STEPS = frozenset({"relu", "relu6", "clip"})
"""The steps that only compare with numbers: they act on integers of the output as well as on real numbers."""

EXACT_STEPS = frozenset({"relu", "relu6", "clip", "add", "mul"})
"""The steps that an integer output without a scale can take: their results are integers."""
