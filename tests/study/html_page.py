"""A page as a test reads it."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "path", "use", "rect"}


class Reader(HTMLParser):
    """Elements, ids, references and texts of a page; `problems` are what is wrong with its form."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def values(self, name: str) -> list[str]:
        """The values of an attribute, wherever it stands."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def text(self) -> str:
        """What is read on the page."""
        return "".join(text for tag, text in self.texts if tag not in ("style", "script"))


def read(html: str) -> Reader:
    """The page, whose form is checked: elements closed, ids unique, references led somewhere, nothing from outside."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.problems and not reader.open, (reader.problems, reader.open)
    ids = reader.values("id")
    assert [name for name, times in Counter(ids).items() if times > 1] == []
    refers = [h.removeprefix("#") for h in reader.values("href") + reader.values("xlink:href") if not h.startswith("data:")]
    refers += [name for value in reader.values("aria-labelledby") for name in value.split()]
    assert [name for name in refers if name not in ids] == []
    outside = [v for _, attributes in reader.elements for k, v in attributes.items() if "//" in v and not k.startswith("xmlns")]
    assert outside == [] and "url(http" not in html and "@import" not in html
    levels = [int(tag[1]) for tag, _ in reader.elements if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), levels
    return reader
