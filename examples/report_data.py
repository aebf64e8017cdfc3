"""Write tensors in the report's .bin format, random, with the means and deviations that the report gives.

    python examples/report_data.py FOLDER

Format: four little-endian int32, the shape, then float32 in row-major order. Input [N, H, W, C], kernel [KH, KW, OC, IC].
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SAMPLES = {
    "sample1_input": ((1, 56, 56, 64), 0.0731, 0.0137**0.5),
    "sample1_kernel": ((3, 3, 64, 64), -0.000486, 0.000168**0.5),
    "sample2_input": ((1, 28, 28, 128), -0.252, 0.0202**0.5),
    "sample2_kernel": ((3, 3, 128, 128), -0.000358, 0.00006**0.5),
}
"""Shape, mean, and standard deviation; the report gives mean and variance."""


def main(folder: Path) -> None:
    """Write every sample into the folder."""
    stream = np.random.default_rng(0)
    for name, (shape, mean, deviation) in SAMPLES.items():
        values = stream.normal(mean, deviation, shape).astype("<f4")
        path = folder / f"{name}.bin"
        path.write_bytes(np.array(shape, "<i4").tobytes() + values.tobytes())
        print(f"{path}: {list(shape)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
