"""On a real GPU: what follows the sum, bit for bit as the kernel's interpreter says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit.runtime.compiled import CompiledConv
from tests.functions import ALL, SLOPE, TYPES, interpreted, special
from tests.test_steps import STEPS, arrays, made, program

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]
OLD = "cuda:sm_75"


def on_gpu(torch: Any, text: str, given: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    kernel = convjit.compile(text, target=OLD)
    assert isinstance(kernel, CompiledConv)
    result = kernel(**{name: torch.from_numpy(array).cuda() for name, array in given.items()})
    return np.asarray(result.cpu().numpy())


@pytest.mark.parametrize("step", STEPS)
def test_every_step(torch: Any, step: str) -> None:
    text = program((step,), "mixed", r="N, OC, OH, OW")
    interpreter = made(text, (OLD, "interpret"))
    given = arrays(interpreter.spec)
    assert np.array_equal(on_gpu(torch, text, given), interpreter(**given))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ALL)
def test_functions_at_the_ends_of_their_range(torch: Any, name: str, dtype: str) -> None:
    """A 1x1 convolution with a weight of 1 hands every value on."""
    x = special(dtype)
    step = f"leaky_relu {SLOPE}" if name == "leaky_relu" else name
    text = f"conv a {{ input x : {dtype}[N=1, W={len(x)}, C=1]; weight w : {dtype}[OC=1, KW=1, IC=1]; then {step} }}"
    got = on_gpu(torch, text, {"x": x.reshape(1, -1, 1), "w": np.ones((1, 1, 1), x.dtype)})
    assert np.array_equal(got.reshape(-1), interpreted(name, dtype, OLD, x), equal_nan=True)
