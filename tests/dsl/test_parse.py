"""Programs become syntax trees, with every node in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from convjit.dsl import ast
from convjit.dsl.clauses import outline
from convjit.dsl.mistakes import diagnose
from convjit.dsl.parse import LONGEST, parse, parse_schedule, read_source
from convjit.errors import ConvError, InternalError
from convjit.source import Source, Span


def clauses(*lines: str) -> tuple[ast.Clause, ...]:
    (conv,) = parse("conv a {\n" + "\n".join(lines) + "\n}").convs()
    return conv.clauses


def clause(line: str) -> ast.Clause:
    (found,) = clauses(line)
    return found


def number(n: object) -> ast.Number:
    return ast.Number(str(n))


def test_a_program_keeps_its_items_in_order() -> None:
    program = parse("let A = 1\nconv a { }\n\n; let B = A ; conv b transposed { stride 1; }  # end")
    names = [(type(item).__name__, item.name.text) for item in program.items]
    assert names == [("Let", "A"), ("Conv", "a"), ("Let", "B"), ("Conv", "b")]
    assert [conv.transposed for conv in program.convs()] == [False, True]


def test_tensor() -> None:
    found = clause("input x : u8 in 0..127 [N=?, W=2*8, C] scale 0.02 zero 128")
    size = ast.Binary("*", number(2), number(8))
    axes = (ast.Axis("N", ast.Open()), ast.Axis("W", size), ast.Axis("C"))
    in_range = ast.InRange(number(0), number(127))
    word = ast.Word
    assert found == ast.Tensor("input", word("x"), word("u8"), axes, in_range, None, number("0.02"), number(128))
    sparse = clause("weight w : i8[OC] sparse scale ws per OC zero wz per OC")
    scale, zero = ast.Per("ws", "OC"), ast.Per("wz", "OC")
    plain = (ast.Axis("OC"),)
    assert sparse == ast.Tensor("weight", word("w"), word("i8"), plain, None, word("sparse"), scale, zero)
    assert clause("param s : f32[OC]") == ast.Tensor("param", word("s"), word("f32"), plain)
    held = ast.Tensor("param", word("s"), word("f32"), plain, values=(number(2),))
    assert clause("param s : f32[OC] = 2") == clause("param s : f32[OC] = (2)") == held
    several = (number(2), ast.Negative(number("0.5")))
    assert clause("param s : f32[OC] = (2,\n -0.5)") == ast.Tensor("param", word("s"), word("f32"), plain, values=several)


def test_expressions_bind_as_in_mathematics() -> None:
    def value(text: str) -> ast.Expr:
        found = clause(f"groups {text}")
        assert isinstance(found, ast.Groups)
        return found.value

    one, two, three = number(1), number(2), number(3)
    assert value("1 + 2 * 3^2") == ast.Binary("+", one, ast.Binary("*", two, ast.Power(three, 2)))
    assert value("1 - 2 - 3") == ast.Binary("-", ast.Binary("-", one, two), three)
    assert value("(1 - 2) / A") == ast.Binary("/", ast.Binary("-", one, two), ast.Name("A"))
    assert value("-2^-1") == ast.Negative(ast.Power(two, -1))


def test_clauses() -> None:
    word = ast.Word
    assert clause("stride 2") == ast.Stride((number(2),))
    assert clause("dilation (1, 2)") == ast.Dilation((number(1), number(2)))
    assert clause("pad same_lower") == ast.Pad(word("same_lower"))
    assert clause("pad 1") == ast.Pad(number(1))
    assert clause("pad (1, (0, 1))") == ast.Pad((number(1), ast.PadPair(number(0), number(1))))
    assert clause("pad ((1, 2))") == ast.Pad((ast.PadPair(number(1), number(2)),))
    assert clause("compute i8 scale auto") == ast.Compute(word("i8"), word("auto"))
    factors = (ast.Factor(word("x"), ast.Power(number(2), 7)), ast.Factor(word("w"), number(3)))
    expected = ast.Compute(word("i16"), factors, word("floor"))
    assert clause("compute i16 scale x 2^7, w 3 round floor") == expected
    channels = (ast.Factor(word("x"), number(3)), ast.Factor(word("w"), ast.Per("ws", "OC")))
    assert clause("compute i8 scale x 3, w ws per OC") == ast.Compute(word("i8"), channels)
    assert clause("algorithm winograd 4") == ast.Algorithm(word("winograd"), 4)
    assert clause("algorithm auto") == ast.Algorithm(word("auto"))
    assert clause("error 1e-5") == ast.Error(number("1e-5"))
    assert clause("requantize onnx") == ast.Requantize(word("onnx"))
    assert clause("then clip -1 (1/2)") == ast.Then(
        word("clip"), (ast.Negative(number(1)), ast.Binary("/", number(1), number(2)))
    )
    assert clause("then scale s per OC") == ast.Then(word("scale"), (ast.Per("s", "OC"),))
    assert clause("then add r") == ast.Then(word("add"), (word("r"),))
    assert clause("target cpu:avx512_vnni") == ast.Target(word("cpu:avx512_vnni"))
    assert clause("threads 2") == ast.Threads(number(2))
    assert clause("dataflow row_stationary") == ast.Dataflow(word("row_stationary"))


def test_words_are_reserved_only_where_a_clause_begins() -> None:
    found = clauses("input stride : f32[N]", "then add pad", "residual pad : f32[N]")
    assert [type(c).__name__ for c in found] == ["Tensor", "Then", "Tensor"]


def test_line_ends_inside_brackets_do_not_count() -> None:
    found = clauses("input x : f32[N=1,", "  # a comment", "  W=(1 +", "  2), C=3]", "pad ((1,", "2))")
    assert len(found) == 2


def test_a_schedule() -> None:
    token, stage = ast.LoopToken, ast.StageToken
    block = parse_schedule(
        """
        oc/32  oh:thread [y] {oh+kh}/2:unroll
        [x: shared ring 4 swizzle 128 pad 8 as i16 by cp.async | h w c/16 c:simd]
        pack w: oc/32 kh oc ; fuse p = n.oh.ow
        prefetch w c/4 16
        launch persistent 132 turns
        """
    )
    copy = (token("h"), token("w"), token("c", 16), token("c", None, "simd"))
    assert block == ast.ScheduleBlock(None, (
        ast.Loops((token("oc", 32), token("oh", None, "thread"), stage("y"), token("oh", 2, "unroll", "kh"))),
        ast.Loops((stage("x", "shared", 4, 128, 8, "i16", "cp.async", copy),)),
        ast.Pack("w", (token("oc", 32), token("kh"), token("oc"))),
        ast.Fuse("p", ("n", "oh", "ow")),
        ast.Prefetch("w", token("c", 4), 16),
        ast.Launch((("persistent", 132), ("turns", None))),
    ))  # fmt: skip
    assert clause("dataflow gemm { oh ow }") == ast.ScheduleBlock("gemm", (ast.Loops((token("oh"), token("ow"))),))
    assert parse_schedule("") == ast.ScheduleBlock(None, ())


def test_nodes_know_their_place() -> None:
    text = "conv a {\n    then clip -1 6\n    dataflow { oc/32 [x: scratch | h] }\n}"
    (conv,) = parse(text).convs()
    then, block = conv.clauses
    assert isinstance(then, ast.Then) and isinstance(block, ast.ScheduleBlock)
    (loops,) = block.lines
    assert isinstance(loops, ast.Loops) and isinstance(loops.items[1], ast.StageToken)
    nodes: list[ast.Node] = [conv.name, then, then.word, then.arguments[0], *loops.items, loops.items[1].copy[0]]
    found = [node.span.text for node in nodes if isinstance(node.span, Span)]
    assert found == ["a", "then clip -1 6", "clip", "-1", "oc/32", "[x: scratch | h]", "h"]


def test_mistakes_in_a_schedule_are_placed() -> None:
    with pytest.raises(ConvError) as error:
        parse_schedule("oc/32 oh\npack w oc\n[x: shred]\noc/0")
    assert [(d.span.line, d.span.column) for d in error.value.diagnostics if d.span] == [(2, 8), (3, 5), (4, 1)]


def test_a_schedule_ends_with_its_text() -> None:
    with pytest.raises(ConvError, match="Expected .*, found '}'"):
        parse_schedule("oc/32 }")


def test_a_text_that_is_too_long() -> None:
    with pytest.raises(ConvError, match=f"The program has {LONGEST + 1} characters, more than {LONGEST}."):
        parse(" " * (LONGEST + 1))


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.conv"
    path.write_bytes(b"\xef\xbb\xbfconv a { }\r\n")
    source = read_source(path)
    assert (source.text, source.name) == ("conv a { }\r\n", str(path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing, latin = tmp_path / "missing.conv", tmp_path / "latin.conv"
    latin.write_bytes(b"conv \xe9 { }")
    cases = {
        missing: "cannot be read: No such file or directory.",
        tmp_path: "cannot be read: Is a directory.",
        latin: "is not a text in UTF-8: byte 5 does not belong there.",
    }
    for path, message in cases.items():
        with pytest.raises(ConvError) as error:
            read_source(path)
        assert str(error.value) == f"error: '{path}' {message}"
    with pytest.raises(ConvError, match="cannot be read: .*null"):
        read_source("a\0b")


def test_what_the_parser_does_not_raise() -> None:
    source = Source("conv a { }")
    with pytest.raises(InternalError, match=r"the parser raised KeyError\('x'\)"):
        diagnose(KeyError("x"), source, outline(source.text), "start")


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(ConvError) as error:
        parse("let = 3\nconv a {\n  strid 1\n  pad\n}", "a.conv")
    lines = [line for line in str(error.value).split("\n") if line.startswith("a.conv")]
    assert lines == [
        "a.conv:1:5: error: A constant needs a name, found '='.",
        "a.conv:3:3: error: Unknown clause 'strid'.",
        "a.conv:4:6: error: 'pad' takes a word or sizes, found the end of the line.",
    ]
