"""A trained network reads text with its convolutions in f32, i16 and i8: what is read, and the error of every layer.

    pip install 'convjit[cnn]'
    python examples/ocr.py [--layers] [ARITHMETIC …]

The models are those of the package rapidocr-onnxruntime (PP-OCRv4); ONNX Runtime runs what is no convolution, and the whole model in f32
for comparison. `convjit/networks/ocr.py` draws the lines and reads the answers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from convjit.networks.ocr import ARITHMETICS, LINES, Read, study, study_detector


def main(arithmetics: Sequence[str], every_layer: bool) -> None:
    """Print what is read in each arithmetic, then the errors layer by layer."""
    rows = study(arithmetics)
    for row in rows:
        print(f"{row.arithmetic}: {row.right} of {row.words} words, {row.wrong_characters} characters wrong")
        for line, text in zip(LINES, row.texts, strict=True):
            print(f"    {text}" + ("" if text == line else f"      <- {line}"))
    show([row for row in rows if row.layers], every_layer)
    print("\nThe detector: pixels of a page that change between text and not text")
    for found in study_detector(arithmetics):
        left = [f"{layer.name} ({layer.why})" for layer in found.layers if layer.ran_by != "convjit"]
        print(f"    {found.arithmetic:16}{found.changed:>8.3%}, overlap {found.overlap:.4f}, NRMSE {found.end_to_end:.2e}")
    print("    left to ONNX Runtime:", ", ".join(left))


def show(rows: Sequence[Read], every_layer: bool) -> None:
    """NRMSE of each layer against f32 of the same input, then `so far` against a run that is f32 from the start."""
    print("\nNRMSE of each layer: of the same input, and so far")
    print(f"    {'':14}" + "".join(f"{row.arithmetic:>24}" for row in rows))
    number = len(rows[0].layers)
    for i in range(0, number, 1 if every_layer else 6):
        cells = "".join(f"{row.layers[i].nrmse:>13.1e} {row.layers[i].accumulated:>10.1e}" for row in rows)
        print(f"    {rows[0].layers[i].name:14}{cells}")
    print(f"    {'end to end':14}" + "".join(f"{row.end_to_end:>24.1e}" for row in rows))


if __name__ == "__main__":
    words = sys.argv[1:]
    main([word for word in words if word != "--layers"] or ARITHMETICS, "--layers" in words)
