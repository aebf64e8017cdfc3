"""Links between the texts of a compilation: they are true, they lead somewhere, and they change nothing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from convjit import api
from convjit.errors import Unavailable
from convjit.kernel.ir import Kernel, Op, walk
from convjit.kernel.text import head_text, origins
from convjit.nest.ir import Loop, MulAdd, Stmt, Store
from convjit.nest.numbers import distinct, numbers, statements
from convjit.pipeline import Compilation, stage_texts
from convjit.runtime import assemble, code_lines
from convjit.runtime.ptxas import assemble_ptx
from convjit.study import linked_forms
from convjit.study.linked import Form, Linked
from convjit.study.linked_forms import linked

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = """
conv small {
    input  x : f32[N=1, H=7, W=9, C=3]
    weight w : f32[KH=3, KW=3, OC=20, IC=3]
    bias   b : f32[OC]
    pad same
    then relu
    dataflow {
        oc/16  oh:thread  ow/3  [y]  kh kw c  ow:unroll  oc/8:unroll  oc:simd
        pack w: oc/16 kh kw c oc
    }
}
"""
BYTES = "conv bytes { input x : u8[N=1, H=6, W=7, C=5]; weight w : i8[KH=3, KW=3, OC=10, IC=5]; pad 1; then relu }"
PIXELS = "conv pixels { input x : f32[N=1, H=9, W=9, C=16]; weight w : f32[KH=3, KW=3, OC=32, IC=16]; pad 1; bias b : f32[OC] }"
FIRST = "conv first { input x : f32[N=2, C=3, H=11, W=12]; weight w : f32[OC=9, IC=3, KH=3, KW=3]; output y : f32[N, OC, OH, OW]; stride 2 }"

CASES = {
    "written, avx2": (SMALL, "cpu:avx2"),
    "scalar": (PIXELS, "cpu:scalar"),
    "bytes, avx2": (BYTES, "cpu:avx2"),
    "bytes, avx512_vnni": (BYTES, "cpu:avx512_vnni"),
    "channels first, avx2": (FIRST, "cpu:avx2"),
    "copies ahead, sm_80": (PIXELS, "cuda:sm_80"),
    "sm_75": (FIRST, "cuda:sm_75"),
}


@cache
def compiled(case: str) -> Compilation:
    text, target = CASES[case]
    ((spec, syntax),) = api.read(text).values()
    return api.compilation(spec, syntax, target)


@cache
def links(case: str) -> Linked:
    return linked(compiled(case))


def form(case: str, name: str) -> Form:
    (found,) = (f for f in links(case).forms if f.name == name)
    return found


def nest_statements(case: str) -> list[Stmt]:
    """By number; nothing has the number 0."""
    return [Loop("", (), (), 1, "", ()), *(s for nest in compiled(case).nests for s in statements(nest.body))]


def by_line(f: Form) -> list[tuple[str, int]]:
    """Lines with the statement that they belong to as a whole."""
    return [("".join(p.text for p in line), line[0].statement if len(line) == 1 else 0) for line in f.lines]


@pytest.mark.parametrize("case", CASES)
def test_texts_are_what_dump_prints(case: str) -> None:
    texts = stage_texts(compiled(case))
    for f in links(case).forms:
        if f.name in texts and f.lines:
            assert f.text.rstrip("\n") == texts[f.name]().rstrip("\n"), f.name


@pytest.mark.parametrize("case", CASES)
def test_links_lead_somewhere(case: str) -> None:
    found = links(case)
    last = len(found.ends) - 1
    assert last == len(nest_statements(case)) - 1
    for f in found.forms:
        for line in f.lines:
            assert all(0 <= p.statement <= last and all(0 <= t < len(found.things) for t in p.things) for p in line)
    assert all(1 <= n <= last for thing in found.things for n in thing.statements)
    assert all(n <= end <= last for n, end in enumerate(found.ends))
    everywhere = {p.statement for f in found.forms if f.name == "nest" for line in f.lines for p in line} - {0}
    assert everywhere == set(range(1, last + 1))


@pytest.mark.parametrize("case", CASES)
def test_nothing_else_is_compiled(case: str) -> None:
    """Forms with origins print as those without."""
    c = compiled(case)
    assert [f.note for f in links(case).forms if f.lines] == [""] * sum(bool(f.lines) for f in links(case).forms)
    assert all(stmt.origin == 0 for kernel in c.kernels for stmt in walk(kernel.body))
    nests = [distinct(nest) for nest in c.nests]
    assert nests == list(c.nests)
    assert all(len(numbers(nest)) == sum(1 for _ in statements(nest.body)) for nest in nests)


@pytest.mark.parametrize("case", CASES)
def test_multiplications_come_from_multiply_adds(case: str) -> None:
    """And what computes nothing of the kind does not, in the kernel and in what is made of it."""
    nest = nest_statements(case)
    machine = compiled(case).machine
    rows = {row.name for row in machine.rows}
    for text, n in by_line(form(case, "kernel")):
        word = re.match(r"\s+%\S+ = (\w+) ", text)
        if word and word[1] in rows - {"mul"} and n:
            assert isinstance(nest[n], MulAdd), text
        if text.lstrip().startswith("store"):
            assert isinstance(nest[n], Store), text
        if text.lstrip().startswith("for "):
            assert isinstance(nest[n], Loop), text
    marks = {"asm": r"\tv?(fmadd|pmaddwd|pdpbusd)", "ptx": r"\t(fma|dp4a)", "sass": r".*\b(FFMA|IDP)\b", "llvm": r".*(@llvm.fma|pmadd|vpdpbusd)"}
    for name, mark in marks.items():
        if name in {f.name for f in links(case).forms}:
            products = [n for text, n in by_line(form(case, name)) if re.match(mark, text)]
            linked_ = [n for n in products if n]
            assert all(isinstance(nest[n], MulAdd) for n in linked_)
            assert len(linked_) >= 0.9 * len(products), name


@pytest.mark.parametrize("case", CASES)
def test_most_is_linked(case: str) -> None:
    """Of the kernel nearly all, of instructions most; stores always, since each has its place."""
    kernel = form(case, "kernel")
    assert kernel.linked >= 0.85 * len(kernel.lines)
    llvm = form(case, "llvm")
    assert llvm.linked >= 0.85 * len(llvm.lines)
    for name in ("asm", "ptx", "llvm_opt"):
        if name in {f.name for f in links(case).forms}:
            assert form(case, name).linked >= 0.45 * len(form(case, name).lines)


def test_things_have_their_statements() -> None:
    case = "written, avx2"
    nest, found = nest_statements(case), links(case)
    things = {thing.label: thing.statements for thing in found.things}
    assert things["loop oc/16"] == ()  # peeled: two tiles, each written out
    for label, name in (("loop oh:thread", "oh.0"), ("loop kw", "kw.0"), ("loop oc:simd", "oc.2")):
        assert {s.name for n in things[label] if isinstance(s := nest[n], Loop)} == {name}, label
    assert {type(nest[n]) for n in things["multiply-add"]} == {MulAdd}
    kept = [nest[n] for n in things["stage [y]"]]
    assert all(isinstance(s, Store) for s in kept) and len(kept) == 2 * len(things["results and what follows the sum"])
    assert [nest[n].target.buffer for n in things["results and what follows the sum"]] == ["y"] * (len(kept) // 2)  # type: ignore[union-attr]
    assert {type(nest[n]) for n in things["pack w"]} == {Store}
    assert {s.name for n in things["loop kw of pack w"] if isinstance(s := nest[n], Loop)} == {"pack~kw.0"}


def test_copies_and_fused_axes_have_theirs() -> None:
    case = "copies ahead, sm_80"
    things = {thing.label: thing.statements for thing in links(case).things}
    nest = nest_statements(case)
    copies = [nest[n] for n in things["stage [x: shared]"]]
    assert any(isinstance(s, Store) and s.by == "cp.async" for s in copies)
    assert things["fuse p = n.oh.ow"]
    assert any(isinstance(nest[n], Loop) and nest[n].name == "step" for n in things["loop kh"])  # type: ignore[union-attr]


def test_the_program_says_where_its_schedule_is() -> None:
    case = "written, avx2"
    things = links(case).things
    pieces = {p.text: [things[t].label for t in p.things] for line in form(case, "program").lines for p in line if p.things}
    assert pieces["oc/8:unroll"] == ["loop oc/8:unroll"]
    assert pieces["[y]"] == ["stage [y]"]
    assert pieces["then relu"] == ["results and what follows the sum"]
    assert len(pieces["dataflow"]) == len(things) - 2


def test_the_name_of_a_dataflow_stands_for_all_of_it() -> None:
    ((spec, syntax),) = api.read(SMALL[: SMALL.index("dataflow")] + "dataflow weight_stationary\n}").values()
    found = linked(api.compilation(spec, syntax, "cpu:avx2"))
    (named,) = (p for line in found.forms[0].lines for p in line if p.text == "dataflow weight_stationary")
    assert len(named.things) == len(found.things) - 2


def test_a_spec_without_a_text_is_shown_as_it_prints() -> None:
    spec = compiled("bytes, avx2").spec
    found = linked(api.compilation(spec, None, "cpu:scalar"))
    assert found.forms[0].text == str(spec)


def test_lines_of_kernels_are_counted_as_they_print() -> None:
    for case in CASES:
        for kernel in compiled(case).kernels:
            heads = [head_text(stmt) for stmt in walk(kernel.body)]
            assert len(origins(kernel)) == len(str(kernel).split("\n"))
            assert len(heads) <= len(origins(kernel))


def test_instructions_that_differ_are_not_linked() -> None:
    case = "written, avx2"
    c = compiled(case)
    shown = form(case, "asm").text.replace("vfmadd231ps", "vfmadd213ps")
    assert code_lines.assembly_lines(shown, c.llvm, linked_forms.code_target(c.machine)) == {}


def test_a_newer_llvm_is_not_asked_for_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are not known, and without one of them instructions would stand under lines that are not theirs."""
    monkeypatch.setattr(assemble, "OPTIONS_KNOWN_TO", 1)
    c = compiled("written, avx2")
    assert code_lines.assembly_lines(form("written, avx2", "asm").text, c.llvm, linked_forms.code_target(c.machine)) == {}
    gpu = compiled("sm_75")
    assert code_lines.sass_lines("", gpu.llvm, gpu.machine) == {}


def test_another_kernel_is_not_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    c = api.compilation(compiled("written, avx2").spec, None, "cpu:avx2")
    monkeypatch.setattr(linked_forms, "lower", lambda nest, machine, _: other(c.kernels[0]))
    found = {f.name: f for f in linked(c).forms}
    assert found["kernel"].note.startswith("Not linked: ")
    assert found["kernel"].linked == found["llvm"].linked == 0


def other(kernel: Kernel) -> Kernel:
    """The kernel without its statements."""
    return Kernel(kernel.name, kernel.machine, kernel.parameters, (Op("%1", "add", "i64", (1, 2), (), 1),))


def test_without_nvidias_tools_there_is_no_sass(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise Unavailable.of("not here")

    monkeypatch.setattr(code_lines, "assemble_ptx", absent)
    c = compiled("sm_75")
    assert code_lines.sass_of("", c.machine) == ""


def test_sass_is_linked_where_it_is_shown() -> None:
    case = "copies ahead, sm_80"
    sass = form(case, "sass")
    if not sass.lines:
        assert sass.note.startswith("Not shown: ")
        pytest.skip("nvdisasm is not installed")
    assert sass.linked > 0.5 * len(sass.lines)
    assert assemble_ptx(form(case, "ptx").text, "sm_80").image
