"""An SVG file as a part of a page: no prologue, no metadata, names of its own, nothing of it reached from outside."""

from __future__ import annotations

import re

from convjit.study.markup import escape

PROLOGUE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE[^>]*>|<!--.*?-->|<metadata>.*?</metadata>|<title>.*?</title>", re.DOTALL)
FOREIGN = re.compile(r"<(script|foreignObject|style|a)\b.*?</\1>|\son\w+=(\"[^\"]*\"|'[^']*')", re.DOTALL | re.IGNORECASE)
NAMED = re.compile(r'(\bid="|href="#|url\(#)')


def plain(svg: str) -> str:
    """The SVG element alone, without what a page does not need or must not run."""
    svg = FOREIGN.sub("", PROLOGUE.sub("", svg))
    return re.sub(r"\n\s*\n+", "\n", svg).strip()


def placed(svg: str, name: str, alt: str) -> str:
    """The SVG element as an image that is called `alt`, its ids under the prefix `name`."""
    head = f'<svg role="img" aria-label="{escape(alt)}"'
    return NAMED.sub(rf"\g<1>{name}.", plain(svg)).replace("<svg", head, 1)
