"""The report's tensors where they are at hand, and made ones with their statistics.

The real ones lie in `shared/seed` in the checkout or beside it, or in the folder that REPORT_TENSORS names; tests of their
figures are skipped where there are none. Those of shapes and rules use made ones.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from convjit.spec.conv import ConvSpec
from convjit.study.layer import Layer, layer
from convjit.study.report_findings import report_spec

ROOT = Path(__file__).parents[2]
FOLDERS = (Path(os.environ.get("REPORT_TENSORS", "/nonexistent")), ROOT / "shared" / "seed", ROOT.parent / "shared" / "seed")
Floats = NDArray[np.float32]


def read_bin(path: Path) -> Floats:
    """Four int32, the shape, then float32."""
    shape = np.fromfile(path, "<i4", 4)
    return np.fromfile(path, "<f4", offset=16).reshape(shape)


@lru_cache(maxsize=1)
def sample1() -> Layer:
    """The report's first sample; the test is skipped where it is not at hand."""
    folder = next((f for f in FOLDERS if (f / "sample1_input.bin").exists()), None)
    if folder is None:
        pytest.skip("the report's tensors are not here (REPORT_TENSORS names their folder)")
    x, w = read_bin(folder / "sample1_input.bin"), read_bin(folder / "sample1_kernel.bin")
    return layer(report_spec(x, w), x, w)


def made(seed: int = 0, size: int = 9, channels: int = 16) -> tuple[ConvSpec, Floats, Floats]:
    """A small layer with long-tailed numbers of about the report's ranges."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_t(6, (1, size, size, channels)) * 5).astype(np.float32)
    spread = rng.uniform(0.3, 2.0, (1, 1, channels, 1))
    w = (rng.standard_t(6, (3, 3, channels, channels)) * 0.03 * spread).astype(np.float32)
    return report_spec(x, w), x, w
