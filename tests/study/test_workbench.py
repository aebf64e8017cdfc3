"""The page of a compilation: every text whole, links by number on both sides."""

from __future__ import annotations

import json
import re

import pytest

from convjit import api
from convjit.study import compilation_page, workbench
from convjit.study.compilation_page import page
from convjit.study.linked import Form, Linked, Piece, Thing, plain
from convjit.study.page import Page, Section, html
from convjit.study.workbench import Workbench
from tests.study.html_page import Reader, read
from tests.study.test_linked import BYTES, CASES, SMALL, compiled, links


def shown(linked: Linked) -> Reader:
    return read(html(Page("t", "l", [Section("s", [Workbench(linked)])])))


@pytest.mark.parametrize("case", CASES)
def test_every_text_is_there_and_every_link_leads_somewhere(case: str) -> None:
    found = links(case)
    reader = shown(found)
    text = reader.text()
    assert all(f.text in text for f in found.forms)
    data = json.loads("".join(t for tag, t in reader.texts if tag == "script"))
    assert data["ends"] == list(found.ends)
    statements = {int(n) for n in reader.values("data-n")}
    assert statements == set(range(1, len(found.ends)))
    things = {int(t) for value in reader.values("data-t") for t in value.split()}
    assert {t for t, thing in enumerate(found.things) if thing.statements} <= things <= set(range(len(found.things)))
    assert all(n in statements for _, own in data["things"] for n in own)


def test_lines_of_one_statement_are_one_part() -> None:
    lines = plain("a\nb\n<c>\nd", {0: 3, 1: 3, 2: 4})
    code = "".join(workbench._marked(lines))
    assert code == '<span data-n="3">a\nb</span>\n<span data-n="4">&lt;c&gt;</span>\nd'


def test_long_texts_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "FOLDED", 2)
    form = Form("llvm", "LLVM IR", plain("a\nb\nc"))
    found = "".join(Workbench(Linked((form,), (), (0,))).pane(form, workbench.Ids()))
    assert "<details><summary>Show all 3 lines</summary><pre" in found


def test_names_end_no_element() -> None:
    found = Linked((Form("nest", "N", ((Piece("x", 1),),)),), (Thing("</script>", (1,)),), (0, 1))
    assert "</script>" not in workbench._json(found)
    shown(found)


def test_the_page_of_several_blocks() -> None:
    blocks = api.read(SMALL + BYTES)
    compilations = [api.compilation(spec, syntax, "cpu:avx2") for spec, syntax in blocks.values()]
    text = html(page(compilations, "convjit report 'a b.conv'"))
    reader = read(text)
    assert [t for tag, t in reader.texts if tag == "title"] == ["small, bytes on cpu:avx2"]
    assert text.count('class="bench"') == 2
    words = reader.text()
    assert "convjit report 'a b.conv'" in words and "What was chosen and why" in words and "NVIDIA" not in words
    (size,) = set(re.findall(r"<th scope=\"row\">Object file</th>.*?>(\d+)<", text.split('class="bench"')[1]))
    assert 500 < int(size) < 50_000


def test_the_page_says_what_is_less_sure() -> None:
    assert "NVIDIA's own table of lines" in compilation_page._how([compiled("sm_75")])
    assert "NVIDIA" not in compilation_page._how([compiled("scalar")])
