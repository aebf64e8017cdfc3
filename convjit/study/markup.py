"""Pieces of HTML; every text that comes in is escaped here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from html import escape as _escape

NUMBER = re.compile(r"[<>~≤≥≈×]?\s?[+\-−]?(inf|\d[\d,]*(\.\d+)?([eE][+-]?\d+)?|2\^-?\d+)(\s?[a-zA-Zµ%/²³°×]{1,9})?")
"""A figure as people write it in a table: 3, -1.5e-3, 12.5 %, 3.2 ms, ×2.1, 2^-7."""
ABSENT = "–"


def escape(text: object) -> str:
    """The text as HTML, in attributes and outside of them; control characters, which no page may hold, become U+FFFD."""
    return _escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", str(text)), quote=True)


def element(name: str, content: str, attributes: Mapping[str, str] | None = None) -> str:
    """An element around HTML; attributes' values are escaped, empty ones stand alone."""
    words = [f' {key}="{escape(value)}"' if value else f" {key}" for key, value in (attributes or {}).items()]
    return f"<{name}{''.join(words)}>{content}</{name}>"


def prose(text: str) -> str:
    """Paragraphs, apart by empty lines; lines that begin with "- " are a list; what stands in backticks is code."""
    return "\n".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block.strip())


def inline(text: str) -> str:
    """A line of prose: what stands in backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(element("code", escape(part)) if i % 2 else escape(part) for i, part in enumerate(parts))


def cell(value: object) -> str:
    """What a table shows of a value: a dash for what is absent, four digits of a float."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return digits(value) if isinstance(value, float) else str(value)


def digits(value: float) -> str:
    """Four digits that count; large numbers in full, up to 15 places.

    >>> digits(0.12345678), digits(1234567.8), digits(2.5e-9)
    ('0.1235', '1234568', '2.5e-09')
    """
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def numeric(values: list[str]) -> bool:
    """Whether the cells of a column are figures, as far as there are any."""
    there = [v for v in values if v not in (ABSENT, "")]
    return bool(there) and all(NUMBER.fullmatch(v) for v in there)


def _block(block: str) -> str:
    lines = [line.strip() for line in block.strip().splitlines()]
    items: list[str] = []
    before: list[str] = []
    for line in lines:
        if line.startswith("- "):
            items.append(line[2:])
        elif items:
            items[-1] += f" {line}"
        else:
            before.append(line)
    paragraph = element("p", inline(" ".join(before))) if before else ""
    listed = "".join(element("li", inline(item)) for item in items)
    return paragraph + (element("ul", listed) if items else "")
