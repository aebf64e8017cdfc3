"""Reading text with a trained network, in several arithmetics: the models that the package `rapidocr-onnxruntime` ships.

PP-OCRv4 (PaddleOCR): the recogniser reads an image of one line, the detector says of every pixel of a page whether it is text. The images
are drawn here with Pillow's own font. The models are taken as files; the package itself is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convjit.errors import Unavailable
from convjit.front import onnx
from convjit.front.arithmetic import Array
from convjit.front.onnx.packages import onnx as onnx_package
from convjit.networks.packages import folder, package

ARITHMETICS = ("f32", "i16", "i8", "i8_per_channel")
REFERENCE = "onnxruntime f32"
"""The name of the row in which ONNX Runtime runs the whole model."""

LINES = (
    "The quick brown fox jumps",
    "over 13 lazy dogs, twice!",
    "Convolution at run time: 7x7",
    "INT8 & INT16: error vs. speed",
    "NRMSE = 7.786e-05 (sample 1)",
    "Total due: $1,234.56 by 30/09",
)
"""What is read."""
SEEN = (
    "Pack my box with five dozen",
    "liquor jugs? 42 = 6*7 (yes)",
    "SPHINX OF BLACK QUARTZ",
    "judge my vow; 98.6% or more",
    "How vexingly quick, zebras",
    "Order #12345, 67890 & more!",
    "Waltz, bad nymph, for jigs",
    "vex -- 3.14159 / 2.71828",
)
"""What scales are chosen from: other lines of the same kind."""

HEIGHT, WIDTH, FONT, MARGIN = 48, 464, 32, 4
"""Of a line's image, in pixels: the recogniser's own height; a width in which all lines fit; the size of the font; white around."""
TEXT = 0.3
"""From this probability on, a pixel counts as text (PaddleOCR's own threshold)."""


@dataclass(frozen=True)
class Read:
    """What the recogniser reads in one arithmetic. `words` are those of all lines, `right` how many come out as they were drawn,
    `wrong_characters` the edit distance over all lines. `layers` are the rows of `Model.compare`, `end_to_end` its NRMSE of the output."""

    arithmetic: str
    texts: tuple[str, ...]
    words: int
    right: int
    wrong_characters: int
    layers: tuple[onnx.Layer, ...]
    end_to_end: float


@dataclass(frozen=True)
class Detected:
    """What the detector says of a page in one arithmetic: the share of pixels that change between text and not text, and the overlap of
    the two areas of text (their intersection over their union), against ONNX Runtime's f32."""

    arithmetic: str
    changed: float
    overlap: float
    layers: tuple[onnx.Layer, ...]
    end_to_end: float


def study(
    arithmetics: Sequence[str] = ARITHMETICS, lines: Sequence[str] = LINES, threads: int | None = None,
    progress: Callable[[str], object] = lambda row: None,
) -> tuple[Read, ...]:  # fmt: skip
    """Read `lines` with ONNX Runtime alone and in each arithmetic. `progress` is told the name of each row before it is made.

    Raises `Unavailable` where rapidocr-onnxruntime, onnx, onnxruntime or Pillow is not installed.
    """
    path = model_file("rec")
    alphabet = characters(path)
    drawn, seen = (np.stack([draw(text) for text in some]) for some in (lines, SEEN))
    rows: list[Read] = []
    for arithmetic in arithmetics:
        progress(arithmetic)
        model = onnx.load(path, arithmetic, [seen], threads=threads)
        compared = model.compare(drawn)
        (name,) = model.outputs
        if not rows:
            rows.append(_read(REFERENCE, decode(compared.f32[name], alphabet), lines, (), 0.0))
        rows.append(_read(arithmetic, decode(compared.outputs[name], alphabet), lines, compared.layers, compared.nrmse[name]))
    return tuple(rows)


def study_detector(
    arithmetics: Sequence[str] = ARITHMETICS, threads: int | None = None, progress: Callable[[str], object] = lambda row: None
) -> tuple[Detected, ...]:
    """The same for the detector, on a page with all of LINES; calibrated on a page with SEEN."""
    path, page, seen = model_file("det"), draw_page(LINES), draw_page(SEEN[: len(LINES)])
    rows = []
    for arithmetic in arithmetics:
        progress(arithmetic)
        model = onnx.load(path, arithmetic, [seen], threads=threads)
        compared = model.compare(page)
        (name,) = model.outputs
        ours, exact = compared.outputs[name] >= TEXT, compared.f32[name] >= TEXT
        overlap = float((ours & exact).sum() / max(1, (ours | exact).sum()))
        changed = float(np.mean(ours != exact))
        rows.append(Detected(arithmetic, changed, overlap, compared.layers, compared.nrmse[name]))
    return tuple(rows)


# --- the models


def model_file(part: str) -> Path:
    """The file of the recogniser ("rec") or the detector ("det")."""
    found = sorted((folder("rapidocr_onnxruntime", "rapidocr-onnxruntime") / "models").glob(f"*_{part}_*.onnx"))
    if not found:
        hint = "pip install rapidocr-onnxruntime==1.4.4 has them."
        raise Unavailable.of(f"This version of rapidocr-onnxruntime ships no '{part}' model.", hint=hint)
    return found[-1]


def characters(path: Path) -> tuple[str, ...]:
    """What the recogniser's classes stand for: nothing, the characters that the model lists, the space."""
    properties = onnx_package().load(str(path), load_external_data=False).metadata_props
    (listed,) = (p.value for p in properties if p.key == "character")
    return ("", *listed.splitlines(), " ")


def decode(scores: Array, alphabet: Sequence[str]) -> list[str]:
    """The texts of `scores` (lines, positions, classes): the best class at each position, repetitions and nothing left out (CTC; Graves
    et al., ICML 2006)."""
    texts = []
    for best in scores.argmax(2):
        changes = np.concatenate([[True], best[1:] != best[:-1]])
        texts.append("".join(alphabet[i] for i in best[changes]).strip())
    return texts


# --- images


def draw(text: str) -> Array:
    """A line as the recogniser wants it: (3, HEIGHT, WIDTH), black on white, from -1 to 1; behind its end zeros, as PaddleOCR pads."""
    pixels, end = _drawn([text], WIDTH, HEIGHT)
    line = pixels / 127.5 - 1
    line[:, :, end:] = 0
    return line


def draw_page(lines: Sequence[str]) -> Array:
    """A page as the detector wants it: (1, 3, H, W), sides multiples of 32, with the mean and deviation of ImageNet's colours."""
    pixels, _ = _drawn(lines, -(-WIDTH // 32) * 32, -(-HEIGHT * len(lines) // 32) * 32)
    mean, deviation = (np.array(v, np.float32).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((pixels / 255 - mean) / deviation)[None]


def _drawn(lines: Sequence[str], width: int, height: int) -> tuple[Array, int]:
    """Pixels (3, height, width) from 0 to 255 with a line every HEIGHT of them, and where the last line ends."""
    font = package("PIL.ImageFont", "pillow").load_default(size=FONT)
    image = package("PIL.Image", "pillow").new("L", (width, height), 255)
    pen = package("PIL.ImageDraw", "pillow").Draw(image)
    end = 0
    for number, text in enumerate(lines):
        pen.text((MARGIN, number * HEIGHT + MARGIN), text, font=font, fill=0)
        end = int(font.getlength(text)) + 2 * MARGIN
    return np.repeat(np.asarray(image, np.float32)[None], 3, 0), end


# --- right and wrong


def _read(arithmetic: str, texts: Sequence[str], lines: Sequence[str], layers: tuple[onnx.Layer, ...], error: float) -> Read:
    words = [word for line in lines for word in line.split()]
    right = sum(_right(line, text) for line, text in zip(lines, texts, strict=True))
    wrong = sum(distance(line, text) for line, text in zip(lines, texts, strict=True))
    return Read(arithmetic, tuple(texts), len(words), right, wrong, layers, error)


def _right(line: str, text: str) -> int:
    """How many words of a line are words of the text, each counted once."""
    left = text.split()
    count = 0
    for word in line.split():
        if word in left:
            left.remove(word)
            count += 1
    return count


def distance(a: str, b: str) -> int:
    """Characters to insert, leave out or replace until `a` is `b` (Levenshtein).

    >>> distance("kitten", "sitting")
    3
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]
