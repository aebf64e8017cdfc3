"""Reading text: drawing, decoding, counting; and the real recogniser where its package is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convjit.errors import Unavailable
from convjit.front.onnx import compare
from convjit.networks import ocr, packages


def test_repetitions_and_nothing_are_left_out() -> None:
    alphabet = ["", "a", "b", " "]
    scores = np.eye(4)[[[0, 1, 1, 0, 1, 2, 3, 2, 0]]]
    assert ocr.decode(scores, alphabet) == ["aab b"]


def test_words_are_counted_once() -> None:
    row = ocr._read("i8", ["a b", "the teh end"], ["a a b", "the the end"], (), 0.0)
    assert (row.words, row.right, row.wrong_characters) == (6, 2 + 2, 2 + 2)


def test_a_line_has_a_tight_margin_and_zeros_behind() -> None:
    pytest.importorskip("PIL")
    line = ocr.draw("ab")
    assert line.shape == (3, ocr.HEIGHT, ocr.WIDTH) and line.dtype == np.float32
    assert line.min() == -1 and line.max() == 1
    assert not line[:, :, 80:].any() and line[0, 0, 0] == 1
    page = ocr.draw_page(["ab", "c"])
    assert page.shape == (1, 3, 96, 480) and np.isfinite(page).all()
    assert all(np.all(ocr.draw(text)[:, :, -1] == 0) for text in (*ocr.LINES, *ocr.SEEN)), "every line fits"


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    hint = "  hint: pip install 'convjit[cnn]' brings it, or pip install {0}."
    with pytest.raises(Unavailable) as error:
        ocr.model_file("rec")
    name = "rapidocr-onnxruntime"
    assert str(error.value) == f"error: '{name}' is not installed, and this network needs it.\n{hint.format(name)}"
    with pytest.raises(Unavailable) as error:
        packages.package("no_such_module_of_ours", "pillow")
    assert str(error.value) == f"error: 'pillow' is not installed, and this network needs it.\n{hint.format('pillow')}"


def test_a_version_without_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ocr, "folder", lambda module, name: tmp_path)
    with pytest.raises(Unavailable) as error:
        ocr.model_file("rec")
    assert str(error.value) == (
        "error: This version of rapidocr-onnxruntime ships no 'rec' model.\n"
        "  hint: pip install rapidocr-onnxruntime==1.4.4 has them."
    )


def installed(*names: str) -> Any:
    """Skips a test, by the package's name, where one is missing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed; pip install 'convjit[cnn]'")


REAL = installed("rapidocr_onnxruntime", "onnx", "onnxruntime", "PIL")


@REAL
def test_the_recogniser_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "WIDTH", 192)
    monkeypatch.setattr(ocr, "SEEN", ("Order 67890", "x = 42"))
    monkeypatch.setattr(compare, "CALLS", 1)
    reference, row = ocr.study(["f32"], ["INT16 = 16"])  # f32 has the fewest kernels to compile; the sweep has integers
    assert reference.arithmetic == "onnxruntime f32" and reference.texts == ("INT16 = 16",)
    assert row.texts == reference.texts and (row.right, row.words, row.wrong_characters) == (3, 3, 0)
    assert len(row.layers) == 38 and {layer.ran_by for layer in row.layers} == {"convjit"}
    assert 0 < row.end_to_end < 1e-5
    assert all(layer.nrmse is not None and layer.nrmse < 1e-6 for layer in row.layers)


@pytest.mark.sweep
@REAL
def test_words_and_pages_in_every_arithmetic() -> None:
    rows = {row.arithmetic: row for row in ocr.study()}
    assert rows["f32"].texts == rows["onnxruntime f32"].texts == ocr.LINES
    assert rows["i16"].right == rows["i16"].words
    assert rows["i8"].wrong_characters > rows["i8_per_channel"].wrong_characters
    pages = {row.arithmetic: row for row in ocr.study_detector()}
    assert pages["f32"].changed < 1e-4 and pages["i16"].overlap > 0.99 > pages["i8"].overlap
    assert [layer.kind for layer in pages["f32"].layers if layer.ran_by != "convjit"] == ["ConvTranspose"] * 2
