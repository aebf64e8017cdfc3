"""Small convolutions on a real GPU, for the tests there."""

from __future__ import annotations

from typing import Any

import numpy as np

import convjit
from convjit.dtypes import get
from convjit.runtime.compiled import CompiledConv
from tests.gpu.cases import Case
from tests.gpu.test_call import SMALL, arrays


def compiled(text: str) -> CompiledConv:
    kernel = convjit.compile(text, target="cuda")
    assert isinstance(kernel, CompiledConv)
    return kernel


def tensors(torch: Any, case: Case = SMALL, **sizes: int) -> dict[str, Any]:
    return {name: torch.from_numpy(array).cuda() for name, array in arrays(case, **sizes).items()}


def wanted(kernel: CompiledConv, case: Case = SMALL, **sizes: int) -> np.ndarray[Any, Any]:
    want = convjit.reference(kernel.spec, *arrays(case, **sizes).values())
    return np.asarray(want, get(kernel.spec.output.dtype).numpy)
