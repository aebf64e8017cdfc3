"""One self-contained HTML page: prose, tables, plots, code; readable without a network, in light and dark.

Equal pages are equal texts: nothing of a page depends on when, where or in which order it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from convjit.study.ids import Ids
from convjit.study.inline_svg import placed
from convjit.study.markup import cell, element, escape, inline, numeric, prose
from convjit.study.publish import publish


class Item(Protocol):
    """Anything that can stand in a section."""

    def html(self, ids: Ids) -> str:
        """Its HTML; ids of elements come from `ids`."""
        ...


@dataclass(frozen=True)
class Text:
    """Paragraphs, apart by empty lines. Lines that begin with "- " are a list; what stands in backticks is code."""

    text: str

    def html(self, ids: Ids) -> str:
        """The paragraphs."""
        return prose(self.text)


@dataclass(frozen=True)
class Table:
    """Rows under a header. Columns of figures stand at the right; floats are written with four digits, None and NaN as a
    dash (give a string to have it otherwise). Rows whose index is in `marked` are set off; `note` says what that means."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str
    note: str = ""
    marked: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        wrong = [i for i, row in enumerate(self.rows) if len(row) != len(self.header)]
        if wrong:
            row = self.rows[wrong[0]]
            raise ValueError(f"Row {wrong[0]} of the table has {len(row)} cells, its header {len(self.header)}.")

    def html(self, ids: Ids) -> str:
        """The table in a box that scrolls by itself where it is too wide."""
        texts = [[cell(value) for value in row] for row in self.rows]
        right = [numeric([row[i] for row in texts]) for i in range(len(self.header))]
        name = ids.of("table")
        head = "".join(_cell("th", h, r, scope="col") for h, r in zip(self.header, right, strict=True))
        rows = [self._row(i, row, right) for i, row in enumerate(texts)]
        caption = element("caption", inline(self.caption), {"id": name})
        body = f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>{''.join(rows)}</tbody>"
        box = {"class": "scroll", "role": "region", "tabindex": "0", "aria-labelledby": name}
        note = element("p", inline(self.note), {"class": "note"}) if self.note else ""
        return element("div", element("table", body), box) + note

    def _row(self, index: int, texts: list[str], right: list[bool]) -> str:
        first = "td" if right[:1] == [True] else "th"
        cells = [
            _cell("td", text, at_right) if i or first == "td" else _cell("th", text, at_right, scope="row")
            for i, (text, at_right) in enumerate(zip(texts, right, strict=True))
        ]
        mark = {"class": "marked"} if index in self.marked else {}
        return element("tr", "".join(cells), mark) + "\n"


@dataclass(frozen=True)
class Figure:
    """A drawing (an SVG text, as `plots.svg` makes it). `alt` says in words what it shows, to who cannot see it."""

    svg: str
    caption: str
    alt: str

    def html(self, ids: Ids) -> str:
        """The drawing inside the page, with its caption."""
        name = ids.of("figure")
        drawing = element("div", placed(self.svg, name, self.alt), {"class": "plot", "tabindex": "0"})
        return element("figure", drawing + element("figcaption", inline(self.caption)), {"id": name})


@dataclass(frozen=True)
class Code:
    """A text as it stands: a program, a command, a file. `folded` shows only its caption until it is opened."""

    text: str
    caption: str
    folded: bool = False

    def html(self, ids: Ids) -> str:
        """The text in a box that scrolls by itself."""
        code = element("pre", element("code", escape(self.text.rstrip("\n"))), {"tabindex": "0"})
        if self.folded:
            return element("details", element("summary", inline(self.caption)) + code)
        caption = element("figcaption", inline(self.caption)) if self.caption else ""
        return element("figure", caption + code, {"class": "code"})


@dataclass(frozen=True)
class Facts:
    """Names and what they are: a machine, versions, sizes."""

    facts: Sequence[tuple[str, object]]

    def html(self, ids: Ids) -> str:
        """A list of terms."""
        rows = [f"<div><dt>{inline(name)}</dt><dd>{inline(cell(value))}</dd></div>" for name, value in self.facts]
        return element("dl", "\n".join(rows))


@dataclass(frozen=True)
class Side:
    """Items beside each other, as far as there is room."""

    items: Sequence[Item]

    def html(self, ids: Ids) -> str:
        """A grid of the items."""
        boxes = "\n".join(element("div", item.html(ids)) for item in self.items)
        return element("div", boxes, {"class": "side"})


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; then sections under that."""

    heading: str
    items: Sequence[Item]
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class Page:
    """A title, a paragraph or two that say what it is about, and sections. `style` and `script` are added to the page as
    they are, and must not come from outside the program."""

    title: str
    lead: str
    sections: Sequence[Section]
    style: str = ""
    script: str = ""


def html(page: Page) -> str:
    """The page as one text."""
    ids = Ids()
    ids.of("top")
    named = [_Named(section, ids) for section in page.sections]
    contents = element("nav", f"<h2>Contents</h2>{_contents(named)}", {"aria-label": "Contents"})
    body = "\n".join(n.html(2, ids) for n in named)
    script = f"<script>{page.script}</script>\n" if page.script else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(page.title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<style>{asset('page.css')}{page.style}</style>\n</head>\n<body>\n"
        f'<header id="top"><h1>{escape(page.title)}</h1>\n{prose(page.lead)}</header>\n'
        f"{contents if len(named) > 1 else ''}\n<main>\n{body}\n</main>\n{script}</body>\n</html>\n"
    )


def write(page: Page, path: str | Path) -> None:
    """Write the page; it appears whole or not at all. `ConvError` where it cannot be written."""
    publish(path, html(page).encode("utf-8"))


def asset(name: str) -> str:
    """A style sheet or a script that the package holds."""
    return (files(__package__) / name).read_text(encoding="utf-8")


class _Named:
    """A section, the id of its heading, and those under it."""

    def __init__(self, section: Section, ids: Ids) -> None:
        self.section = section
        self.id = ids.of(section.heading)
        self.inner = [_Named(s, ids) for s in section.sections]

    def html(self, level: int, ids: Ids) -> str:
        heading = element(f"h{min(level, 6)}", inline(self.section.heading), {"id": self.id})
        parts = [heading, *(item.html(ids) for item in self.section.items)]
        parts += [n.html(level + 1, ids) for n in self.inner]
        return element("section", "\n".join(parts), {"aria-labelledby": self.id})


def _contents(named: list[_Named]) -> str:
    items = [
        f'<li><a href="#{n.id}">{inline(n.section.heading)}</a>{_contents(n.inner) if n.inner else ""}</li>'
        for n in named
    ]
    return element("ol", "".join(items))


def _cell(name: str, text: str, at_right: bool, **attributes: str) -> str:
    return element(name, inline(text), {**attributes, **({"class": "n"} if at_right else {})})
