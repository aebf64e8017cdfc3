"""Pages: escaped, self-contained, whole or not at all."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path

import pytest

from convjit.errors import ConvError
from convjit.study import page, publish
from convjit.study.inline_svg import placed
from convjit.study.markup import cell, numeric
from convjit.study.page import Code, Facts, Figure, Page, Section, Side, Table, Text
from tests.study.html_page import read

NASTY = "<script>alert('&\"')</script>\x00"
SVG = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9"><metadata>x</metadata><script>bad()</script>'
    '<defs><path id="m" d="M 0 0"/></defs><use href="#m"/><g clip-path="url(#m)" onload="bad()"/></svg>'
)


def full(text: str) -> Page:
    """A page with every kind of item, each holding the text wherever it may."""
    items = [
        Text(f"{text}\n\n- {text}\n- `{text}`\n  and more"),
        Table((text, "n"), [(text, 1.5), ("b", None)], text, text, frozenset({0})),
        Figure(SVG, text, text),
        Code(text, text),
        Code(text, text, folded=True),
        Facts([(text, text)]),
        Side([Figure(SVG, text, text), Figure(SVG, "second", "two")]),
    ]
    return Page(text, text, [Section(text, items, [Section(text, [Text("deep")])]), Section(text, [])])


def test_everything_is_escaped() -> None:
    html = page.html(full(NASTY))
    reader = read(html)
    assert "script" not in {tag for tag, _ in reader.elements}
    shown = NASTY.replace("\x00", "\ufffd")
    assert reader.text().count(shown) >= 16
    assert "onload" not in html and "bad()" not in html and "\x00" not in html


def test_equal_pages_are_equal_texts() -> None:
    assert page.html(full("a")) == page.html(full("a"))


def test_drawings_have_names_of_their_own_and_say_what_they_are() -> None:
    reader = read(page.html(full("a")))
    paths = [attributes["id"] for tag, attributes in reader.elements if tag == "path"]
    assert paths == ["figure.m", "figure-2.m", "figure-3.m"]
    labels = [attributes["aria-label"] for tag, attributes in reader.elements if tag == "svg"]
    assert labels == ["a", "a", "two"]
    assert 'url(#pre.m)' in placed(SVG, "pre", "x")


def test_a_contents_that_leads_to_every_section() -> None:
    reader = read(page.html(full("A b")))
    links = [attributes["href"] for tag, attributes in reader.elements if tag == "a"]
    assert links == ["#a-b", "#a-b-2", "#a-b-3"]
    assert "Contents" not in page.html(Page("t", "l", [Section("one", [])]))


def test_columns_of_figures_stand_at_the_right() -> None:
    rows = [("a", 1.25, "3 ms", 10**6, "x1"), ("b", math.nan, "0.5 ms", None, "y")]
    html = page.html(Page("t", "l", [Section("s", [Table(("k", "p", "q", "r", "s"), rows, "c")])]))
    head = re.findall(r'<th scope="col"( class="n")?>', html)
    assert [bool(found) for found in head] == [False, True, True, True, False]
    assert html.count("–") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "–"), (0.123456, "0.1235"), (1234567.8, "1234568"), (True, "yes"), (7, "7"), (math.inf, "inf")],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("cells", "figures"),
    [(["1", "-2.5e-3", "–"], True), (["12 %", "3.5 ms"], True), (["2^-7", "×3"], True), (["14×14×256"], False), (["–"], False),
     (["i8"], False), ([], False), (["1,234"], True)],
)  # fmt: skip
def test_what_is_a_figure(cells: list[str], figures: bool) -> None:
    assert numeric(cells) == figures


def test_a_row_that_is_too_short() -> None:
    with pytest.raises(ValueError, match="^Row 1 of the table has 1 cells, its header 2.$"):
        Table(("a", "b"), [(1, 2), (1,)], "c")


def test_a_page_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("old")
    page.write(full("ü"), path)
    assert path.read_text(encoding="utf-8") == page.html(full("ü"))
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0o666 & ~publish_mask() & 0o077
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def publish_mask() -> int:
    """What the user's mask takes away."""
    return 0o666 & ~publish._usual_mode()


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing, folder = tmp_path / "no" / "a.html", tmp_path
    with pytest.raises(ConvError) as error:
        page.write(full("a"), missing)
    assert str(error.value) == f"error: '{missing}' cannot be written: there is no folder '{missing.parent}'."
    with pytest.raises(ConvError) as error:
        page.write(full("a"), folder)
    assert str(error.value) == f"error: '{folder}' cannot be written: it is a folder."
    monkeypatch.setattr(publish.os, "access", lambda *_: False)
    with pytest.raises(ConvError) as error:
        publish.check_place(tmp_path / "a.html")
    assert str(error.value) == f"error: '{tmp_path / 'a.html'}' cannot be written: nothing may be written to '{tmp_path}'."


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.html"
    path.write_text("old")
    monkeypatch.setattr(publish.os, "replace", full_disk)
    with pytest.raises(ConvError) as error:
        page.write(full("a"), path)
    assert str(error.value) == f"error: '{path}' cannot be written: No space left on device."
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def test_colours_that_can_be_read() -> None:
    """WCAG 2.1: 4.5 to 1 for text, 3 to 1 for the lines and marks of plots, in both schemes."""
    light, dark = schemes(page.asset("page.css"))
    lights, darks = schemes(page.asset("workbench.css"))
    for scheme in (light | lights, dark | darks):
        for paper in ("paper", "raised"):
            assert all(contrast(scheme[ink], scheme[paper]) >= 4.5 for ink in ("ink", "muted", "link"))
        assert all(contrast(scheme["ink"], scheme[lit]) >= 4.5 for lit in ("on", "in", "mark"))
        assert all(contrast(scheme[f"series-{i}"], scheme["paper"]) >= 3 for i in range(1, 9))


def schemes(css: str) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of `:root`, light and dark."""
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks[:2])
    return light, dark


def contrast(a: str, b: str) -> float:
    """The contrast of two colours, by WCAG 2.1's relative luminance."""
    one, two = sorted((luminance(a), luminance(b)), reverse=True)
    return (one + 0.05) / (two + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
