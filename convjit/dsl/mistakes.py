"""What to say about a text that does not parse.

Most messages follow from the tokens that the parser would have taken. Where people go wrong in known ways, a table of
examples says more: a snippet dies in the same state of the parser as the user's text does.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache

from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from convjit.dsl.clauses import CLAUSES, Outline
from convjit.dsl.grammar import DEEPEST, GluedWords, TooDeep, parser, wordlike
from convjit.errors import Diagnostic, InternalError, did_you_mean
from convjit.source import Source, Span

FOUND = re.compile(r"\w+|\r?\n|.", re.DOTALL)


@dataclass(frozen=True)
class Mistake:
    """A message for the state in which each of the snippets dies; `{found}` is what stands there."""

    message: str
    hint: str
    snippets: tuple[str, ...]


EXAMPLE = "input x : f32[N=1, H=56, W=56, C=64]"

MISTAKES = (
    Mistake("A constant needs a name, found {found}.", "For example: let OUT = 64", ("let =",)),
    Mistake("A convolution needs a name, found {found}.", "For example: conv res2a { … }", ("conv {",)),
    Mistake("A convolution's clauses stand in '{{' and '}}', found {found}.", "For example: conv res2a { … }",
            ("conv a ;", "conv a transposed ;")),
    Mistake("A tensor needs a name, found {found}.", f"For example: {EXAMPLE}",
            ("conv a { input :", "conv a { param :")),
    Mistake("A tensor's name is followed by ':' and its type, found {found}.", f"For example: {EXAMPLE}",
            ("conv a { input x [", "conv a { param x [")),
    Mistake("A type is missing, found {found}.", f"For example: {EXAMPLE}",
            ("conv a { input x : [", "conv a { param x : [")),
    Mistake("A tensor's type is followed by its axes in '[' and ']', found {found}.", f"For example: {EXAMPLE}",
            ("conv a { input x : f32 ;", "conv a { param x : f32 ;", "conv a { input x : u8 in 0..127 ;")),
    Mistake("An axis is written in capital letters, found {found}.", f"For example: {EXAMPLE}",
            ("conv a { input x : f32 [n", "conv a { input x : f32 [N, n", "conv a { input x : f32 [N, N, n", "conv a { param x : f32 [n",
             "conv a { input x : f32 [N] scale s per n", "conv a { input x : f32 [N] zero s per n")),
    Mistake("A range is written low..high, found {found}.", "For example: input x : u8 in 0..127 [N=1, W=8, C=4]",
            ("conv a { input x : u8 in 0 , 1", "conv a { input x : u8 in 0 .. [")),
    Mistake("'pad' takes a word or sizes, found {found}.",
            "For example: pad same, pad 1, pad (1, 2), pad ((1, 2), (0, 1))", ("conv a { pad ;",)),
    Mistake("Two numbers at most, low and high, pad an axis; found {found}.", "For example: pad ((1, 2), (0, 1))",
            ("conv a { pad ((1, 2, 3", "conv a { pad ((1, x, 3", "conv a { pad ((1, X, 3")),
    Mistake("'then' needs a step, found {found}.", "For example: then relu", ("conv a { then ;",)),
    Mistake("'error' takes a plain number, found {found}.", "For example: error 1e-5", ("conv a { error x",)),
    Mistake("The exponent of '^' is a plain whole number, found {found}.", "For example: 2^7", ("let a = 2^x", "let a = 2^-x")),
    Mistake("The scales are 'auto', or one for the input and one for the weight; found {found}.",
            "For example: compute i16 scale x 2^7, w 2^7*500 round toward_zero",
            ("conv a { compute i8 scale ;", "conv a { compute i8 scale x 1 ;", "conv a { compute i8 scale x X ;",
             "conv a { compute i8 scale x (1) ;", "conv a { compute i8 scale x n ;")),
    Mistake("A copy's level is scratch, shared, registers, L1 or L2; found {found}.", "For example: [x: scratch | h w c:simd]",
            ("conv a { dataflow { [x: |",)),
    Mistake("A copy is made by cp.async, tma, ldmatrix, stmatrix or loads; found {found}.",
            "For example: [x: shared ring 4 by cp.async]", ("conv a { dataflow { [x: shared by |",)),
    Mistake("'fuse' joins axes with dots, found {found}.", "For example: fuse p = n.oh.ow",
            ("conv a { dataflow { fuse p = n ;",)),
)  # fmt: skip

PHRASES = {
    "NAME": "a name", "CAPS": "an axis", "NUMBER": "a number", "INT": "a whole number", "LOOP": "a loop",
    "EQUAL": "'='", "COLON": "':'", "COMMA": "','", "LPAR": "'('", "RPAR": "')'", "LSQB": "'['", "RSQB": "']'",
    "LBRACE": "'{'", "RBRACE": "'}'", "PER": "'per'", "VBAR": "'|'", "PADWORD": "same", "AUTO": "auto",
    "TARGET": "a target such as cpu:avx2", "AXES": "axes joined by dots", "OPEN": "'?'",
}  # fmt: skip
WORDS = (*CLAUSES, "conv", "let", "transposed", "sparse", "scale", "zero", "per", "round")
OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX"}
EXPRESSION = {"NUMBER", "NAME", "CAPS", "LPAR", "MINUS"}
ENDS = {"_NL", "SEMICOLON", "RBRACE"}


def diagnose(error: Exception, source: Source, outline: Outline, start: str) -> Diagnostic:
    """The diagnostic for what the parser raised."""
    if isinstance(error, GluedWords):
        return _glued(source, error.second.start_pos or 0)
    if isinstance(error, TooDeep):
        at = error.token.start_pos or 0
        span = Span(source, at, at + 1)
        return Diagnostic("Brackets are nested too deeply.", span, f"deeper than {DEEPEST}")
    if not isinstance(error, UnexpectedInput):
        raise InternalError(f"the parser raised {error!r}") from error
    at = place(error, source)
    span = found_span(source, at)
    swallowed = outline.swallowed_before(at)
    if swallowed is not None and swallowed.unclosed is not None:
        return _never_closed(source, swallowed.unclosed)
    if at >= len(source.text.rstrip()) and outline.open_braces:
        return _never_closed(source, outline.open_braces[-1])
    if at > 0 and wordlike(source.text[at - 1]) and wordlike(source.text[at : at + 1]):
        return _glued(source, at)
    return _unexpected(error, span, accepted(error), start)


def place(error: Exception, source: Source) -> int:
    """The offset where the parser stopped, at most the end of the text."""
    return min(_offset(error), len(source.text))


def _offset(error: Exception) -> int:
    if isinstance(error, GluedWords):
        return error.first.start_pos or 0
    if isinstance(error, TooDeep):
        return error.token.start_pos or 0
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        return error.token.start_pos or 0
    if isinstance(error, UnexpectedCharacters):
        return error.pos_in_stream or 0
    return sys.maxsize


def found_span(source: Source, at: int) -> Span:
    """The word or the character that stands at an offset."""
    match = FOUND.match(source.text, at)
    return Span(source, at, match.end() if match else at)


def accepted(error: UnexpectedInput) -> frozenset[str]:
    """Names of the terminals that the parser would have taken."""
    interactive = getattr(error, "interactive_parser", None)
    return frozenset(interactive.accepts()) if interactive is not None else frozenset()


def _state(error: UnexpectedInput) -> object:
    interactive = getattr(error, "interactive_parser", None)
    return interactive.parser_state.position if interactive is not None else None


@cache
def _table() -> dict[object, Mistake]:
    """The mistake that each state of the parser stands for."""
    table: dict[object, Mistake] = {}
    for mistake in MISTAKES:
        for snippet in mistake.snippets:
            try:
                parser().parse(snippet, start="start")
            except UnexpectedInput as error:
                table.setdefault(_state(error), mistake)
    return table


def _never_closed(source: Source, at: int) -> Diagnostic:
    bracket = source.text[at]
    closing = {"(": ")", "[": "]", "{": "}"}[bracket]
    return Diagnostic(f"'{bracket}' is never closed.", Span(source, at, at + 1), hints=(f"Add a '{closing}'.",))


def _glued(source: Source, at: int) -> Diagnostic:
    """Two words that run together at `at`, such as "stride" and "x" in `stridex`."""
    start = at
    while start > 0 and wordlike(source.text[start - 1]):
        start -= 1
    span = Span(source, start, found_span(source, at).end)
    first, second = source.text[start:at], source.text[at : span.end]
    if first in CLAUSES:
        return Diagnostic(f"Unknown clause '{span.text}'.", span, "not a clause", hints=did_you_mean(span.text, CLAUSES))
    hints = did_you_mean(span.text, WORDS) or (f"Put a space between '{first}' and '{second}'.",)
    return Diagnostic(f"'{span.text}' is not a word of the language.", span, hints=hints)


def _unexpected(error: UnexpectedInput, span: Span, takes: frozenset[str], start: str) -> Diagnostic:
    word, found = span.text, describe(span.text)
    if "STRIDE" in takes and word in ("conv", "let"):
        return Diagnostic(f"'{word}' stands inside of a conv block.", span, hints=("Close the block above with '}'.",))
    if "CONV" in takes and word == "}":
        return Diagnostic("'}' closes nothing.", span, hints=("Delete it.",))
    if "STRIDE" in takes and word[:1].isalpha():
        return Diagnostic(f"Unknown clause '{word}'.", span, "not a clause", hints=did_you_mean(word, CLAUSES))
    if "CONV" in takes and word in CLAUSES:
        return Diagnostic(f"'{word}' stands outside of a conv block.", span, "only 'conv' and 'let' stand here")
    if takes & ENDS and "STRIDE" not in takes and word in (*CLAUSES, "conv", "let"):
        hint = f"Put a line end or ';' before '{word}'."
        return Diagnostic("A clause ends at the end of its line.", span, "another clause", hints=(hint,))
    mistake = _table().get(_state(error)) if start == "start" else None
    if mistake is not None:
        return Diagnostic(mistake.message.format(found=found), span, hints=(*_capitals(span, takes), mistake.hint))
    return Diagnostic(f"Expected {_expected(takes)}, found {found}.", span, hints=_keywords(word, takes))


def describe(text: str) -> str:
    """How to name what was found."""
    if not text:
        return "the end of the text"
    if text.endswith("\n"):
        return "the end of the line"
    return f"'{text}'" if text.isprintable() else f"the character U+{ord(text[0]):04X}"


def _capitals(span: Span, takes: frozenset[str]) -> tuple[str, ...]:
    wrong_case = takes == {"CAPS"} and span.text.isalpha() and span.text.isascii()
    return (f"Did you mean '{span.text.upper()}'?",) if wrong_case else ()


def _keywords(word: str, takes: frozenset[str]) -> tuple[str, ...]:
    """A near word among the keywords that could stand here."""
    return did_you_mean(word, [t.lower() for t in takes if t not in PHRASES and t not in OPERATORS | ENDS])


def _expected(takes: frozenset[str]) -> str:
    """`a name`, `',' or ']'`, `a clause`, …"""
    if "STRIDE" in takes:
        return "a clause or '}'"
    if "CONV" in takes:
        return "'conv' or 'let'"
    phrases: list[str] = []
    left = set(takes) - {"$END"}
    if {"NUMBER", "LPAR"} <= left:
        phrases.append("a number")
        left -= EXPRESSION
    if left & ENDS == ENDS:
        phrases.append("the end of the clause")
        left -= ENDS
    if left >= OPERATORS - {"CIRCUMFLEX"}:
        phrases.append("an operator")
    plain = sorted(left - OPERATORS)
    phrases += [PHRASES.get(name, f"'{name.lower().lstrip('_')}'") for name in plain if name not in ("_NL", "SEMICOLON")]
    if not phrases:
        return "the end of the line"
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " or " + phrases[-1]
