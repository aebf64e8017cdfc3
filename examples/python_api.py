"""convjit from Python: compile, call, bind, look inside, build a spec without text.

    python examples/python_api.py
"""

from __future__ import annotations

import numpy as np

import convjit

TEXT = """
conv layer {
    input  x : f32[N=1, H=28, W=28, C=32]
    weight w : f32[KH=3, KW=3, OC=64, IC=32]
    bias   b : f32[OC]
    pad same
    then relu
}
"""


def main() -> None:
    """Every line below is what a program would write."""
    stream = np.random.default_rng(0)
    x = stream.standard_normal((1, 28, 28, 32), np.float32)
    w = stream.standard_normal((3, 3, 64, 32), np.float32)
    b = stream.standard_normal(64, np.float32)

    kernel = convjit.compile(TEXT)
    y = kernel(x, w, b)  # by position, in the order of declaration
    same = kernel(b=b, w=w, x=x)  # or by name
    print("shape", y.shape, "type", y.dtype, "by name the same:", np.array_equal(y, same))

    out = np.empty_like(y)
    layer = kernel.bind(w, b)  # the weights are packed once
    layer(x, out=out)
    print("bound, into an array of ours, the same:", np.array_equal(y, out))

    exact = convjit.reference(kernel.spec, x, w, b)
    print("close to the reference:", np.allclose(y, exact, rtol=0, atol=1e-4))

    spec = convjit.Conv(
        "built",
        input=("x", "f32", dict(N=1, H=28, W=28, C=32)),
        weight=("w", "f32", dict(KH=3, KW=3, OC=64, IC=32)),
        pad="same",
        stride=2,
    )
    print(spec, end="")
    print("out", convjit.compile(spec)(x, w).shape)

    print("stages", *kernel.stages)
    print(kernel.dump("schedule"), end="")

    try:
        convjit.compile(TEXT.replace("then relu", "tehn relu"))
    except convjit.ConvError as error:
        print(error)
    try:
        kernel(x[:, :, :, :16], w, b)
    except ValueError as error:
        print("ValueError:", error)


if __name__ == "__main__":
    main()
