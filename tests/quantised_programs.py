"""Random programs of quantised convolutions, of exact ones with zero points, and of `compute` in integers: with channels
enough for vectors and dot products, every layout, dataflow and profile. And arrays for them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import words
from convjit.spec.conv import ConvSpec

IMAGES = {
    "last": "N={n}, H={h}, W={w}, C={c}",
    "first": "N={n}, C={c}, H={h}, W={w}",
}
OUTPUTS = {"last": "N, OH, OW, OC", "first": "N, OC, OH, OW"}
KERNELS = ("OC={oc}, KH={k}, KW={k}, IC={ic}", "KH={k}, KW={k}, IC={ic}, OC={oc}", "OC={oc}, IC={ic}, KH={k}, KW={k}")
CHANNELS = ((1, 8, 16), (1, 7, 13), (1, 16, 40), (4, 16, 16), (8, 8, 8), (2, 6, 10), (1, 3, 8), (1, 64, 16))
DATAFLOWS = ("auto", "auto", "weight_stationary", "input_stationary")
STEPS = ("", "then relu", "then clip -3 5", "then leaky_relu 0.1", "then relu6")


def program(seed: int, gpu: bool = False) -> str:
    """The program of a seed; one that GPUs can take."""
    r = random.Random(seed)
    types, more, wanted = r.choice((quantised, quantised, exact, in_parts, computed))(r)
    groups, c, oc = r.choice(CHANNELS)
    h, w, k = r.choice(((7, 9, 3), (6, 6, 1), (5, 12, 5), (4, 18, 3)))
    flow = r.choice(DATAFLOWS if gpu else (*DATAFLOWS, "row_stationary"))
    n = r.choice(("1", "2", "?" if not gpu or flow == "auto" else "2"))
    sizes = {"n": n, "h": h, "w": w, "k": k, "c": c, "oc": oc, "ic": c // groups}
    image, output = r.choice(sorted(IMAGES)), r.choice(sorted(OUTPUTS))
    x, weight, y = types
    lines = [
        f"input x : {x.replace('[]', f'[{IMAGES[image].format(**sizes)}]')}",
        f"weight w : {weight.replace('[]', f'[{r.choice(KERNELS).format(**sizes)}]')}",
        f"output y : {y.replace('[]', f'[{OUTPUTS[output]}]')}",
        *(line.format(oc=oc) for line in more),
        f"pad {r.choice(('same', 'valid', '((1, 0), (0, 2))'))}; groups {groups}; stride {r.choice((1, 1, 2))}",
        *wanted,
        f"dataflow {flow}",
    ]
    return "conv a {\n    " + "\n    ".join(line for line in lines if line) + "\n}"


Parts = tuple[tuple[str, str, str], list[str], list[str]]
"""Types of input, weight and output with `[]` for the axes; further tensors; further clauses."""


def quantised(r: random.Random) -> Parts:
    """Scales, zero points, a profile."""
    x, w = r.choice((("u8", "i8"), ("i8", "i8"), ("u8", "u8"), ("i8", "u8"), ("i16", "i16"), ("i16", "i8")))
    profile = r.choice(words.PROFILES if x != "i16" else words.PROFILES[:4])
    integers = profile in words.INTEGER_PROFILES
    more = ["param ws : f32[OC={oc}]"] if r.random() < 0.5 else []
    weight = f"{w}[] scale {'ws per OC' if more else '0.01'}"
    if r.random() < 0.25 and w != "i16":
        vector = r.random() < 0.5
        weight += " zero wz per OC" if vector else f" zero {r.randint(0, 100)}"
        more += [f"param wz : {w}[OC={{oc}}]"] if vector else []
    more += ["bias b : i32[OC={oc}]"] if r.random() < 0.4 else []
    step = r.choice(STEPS)
    y = r.choice(("u8[]", "i8[]", "i16[]", "f32[]"))
    if y == "f32[]":
        return (f"{x}[] scale 0.02 zero {zero(r, x)}", weight, y), more, [step]
    y += f" scale {r.choice((4.0, 0.5, 16.0))} zero {r.randint(0, 127)}"
    step = "" if integers and "leaky" in step else step
    return (f"{x}[] scale 0.02 zero {zero(r, x)}", weight, y), more, [step, f"requantize {profile}"]


def zero(r: random.Random, dtype: str) -> str:
    """A zero point, often none."""
    low, high = dtypes.limits(dtype)
    return f"({0 if r.random() < 0.3 else r.randint(max(low, -200), min(high, 255))})"


def exact(r: random.Random) -> Parts:
    """Zero points without scales: ONNX's ConvInteger."""
    x, w = r.choice((("u8", "i8"), ("i8", "i8"), ("u8", "u8"), ("i8", "u8")))
    weight = f"{w}[] zero {r.randint(1, 100)}" if r.random() < 0.3 else f"{w}[]"
    return (f"{x}[] zero {zero(r, x)}", weight, "i32[]"), [], [r.choice(("", "then relu"))]


def in_parts(r: random.Random) -> Parts:
    """Sums of 64 bits, of numbers whose ranges are declared."""
    x, w = r.choice((("u8", "i8"), ("i16", "i16"), ("i16", "i8"), ("i8", "i8")))
    x += declared(r) if x == "i16" else ""
    w += declared(r) if w == "i16" else ""
    return (f"{x}[]" + r.choice(("", " zero 5")), f"{w}[]", "i64[]"), [], [r.choice(("", "then relu"))]


def declared(r: random.Random) -> str:
    """A range."""
    end = r.choice((100, 1000, 5000, 30000))
    return f" in -{end}..{end}"


def computed(r: random.Random) -> Parts:
    """f32 tensors, multiplied as integers."""
    kind, rounding = r.choice(("i8", "i16", "i32")), r.choice(words.ROUNDINGS)
    more = ["bias b : f32[OC={oc}]"] if r.random() < 0.3 else []
    scale_x, scale_w = r.choice(("40", "2^7", "2^5")), r.choice(("30", "2^8", "ws per OC"))
    more += ["param ws : f32[OC={oc}]"] if "per" in scale_w else []
    clause = f"compute {kind} scale x {scale_x}, w {scale_w} round {rounding}"
    return ("f32[]", "f32[]", "f32[]"), more, [clause, r.choice(("", "then relu"))]


def arrays(spec: ConvSpec, seed: int) -> dict[str, NDArray[Any]]:
    """Numbers over the whole range of each type; two images where N is open."""
    rng = np.random.default_rng(seed)
    made: dict[str, NDArray[Any]] = {}
    for tensor in spec.arguments:
        shape = tuple(2 if size is None else size for size in tensor.sizes)
        kind = dtypes.get(tensor.dtype)
        if kind.kind == "float":
            values = rng.standard_normal(shape)
            unit = 100.0 if spec.compute else 0.01  # of factors, or of steps
            made[tensor.name] = (np.abs(values) * unit + unit / 10 if tensor.role == "param" else values).astype(kind.numpy)
            continue
        low, high = (-1000, 1000) if tensor.role == "bias" else tensor.in_range or dtypes.limits(tensor.dtype)
        made[tensor.name] = rng.integers(low, high, shape, endpoint=True, dtype=np.int64).astype(kind.numpy)
    return made
