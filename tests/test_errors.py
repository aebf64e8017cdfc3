"""The renderer, and the classes of errors."""

from __future__ import annotations

import pickle

from convjit.errors import ConvError, Diagnostic, Unavailable, did_you_mean, render
from convjit.source import Source, Span


def span_of(text: str, word: str) -> Span:
    start = text.index(word)
    return Span(Source(text, "a.conv"), start, start + len(word))


def test_everything_is_drawn() -> None:
    span = span_of("conv a {\n\tstrid 1\n}", "strid")
    text = render(Diagnostic("Unknown clause 'strid'.", span, "not a clause", ("Why.",), ("Do this.", "Or that.")))
    assert text == (
        "a.conv:2:2: error: Unknown clause 'strid'.\n"
        "    2 | \tstrid 1\n"
        "      | \t^^^^^ not a clause\n"
        "  note: Why.\n"
        "  hint: Do this.\n"
        "  hint: Or that."
    )


def test_a_long_line_is_cut_around_the_caret() -> None:
    lines = render(Diagnostic("Bad.", span_of("x" * 500 + " bad " + "y" * 500, "bad"))).split("\n")
    assert len(lines[1]) <= 8 + 110
    assert lines[1][lines[2].index("^") :].startswith("bad ")


def test_wide_and_unprintable_characters_keep_the_caret_in_place() -> None:
    lines = render(Diagnostic("Bad.", span_of("畳み\0e\u0301 bad", "bad"))).split("\n")
    assert lines[1] == "    1 | 畳み\N{REPLACEMENT CHARACTER}e\u0301 bad"
    assert lines[2] == "      | " + " " * (4 + 1 + 1 + 1) + "^^^"  # two wide characters, then one column each


def test_a_span_at_the_end_of_a_line_or_of_the_text_has_a_caret() -> None:
    source = Source("ab\ncd", "a.conv")
    assert render(Diagnostic("Bad.", Span(source, 2, 3))).split("\n")[1:] == ["    1 | ab", "      |   ^"]
    assert render(Diagnostic("Bad.", Span(source, 5, 5))).split("\n")[1:] == ["    2 | cd", "      |   ^"]
    assert render(Diagnostic("Bad.", Span(source, 0, 5))).split("\n")[1:] == ["    1 | ab", "      | ^^"]


def test_diagnostics_stand_in_the_order_of_the_text() -> None:
    second, first = Diagnostic("Two.", span_of("one two", "two")), Diagnostic("One.", span_of("one two", "one"))
    error = ConvError(second, first)
    assert [d.message for d in error.diagnostics] == ["One.", "Two."]
    assert str(error).split("\n\n")[0].startswith("a.conv:1:1: error: One.")


def test_errors_are_values_and_survive_pickling() -> None:
    error = Unavailable.of("No GPU.", note="Why.", hint=("a", "b"))
    assert isinstance(error, ConvError) and isinstance(error, ValueError)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is Unavailable and str(copy) == str(error) == "error: No GPU.\n  note: Why.\n  hint: a\n  hint: b"


def test_did_you_mean() -> None:
    assert did_you_mean("strid", ("stride", "pad")) == ("Did you mean 'stride'?",)
    assert did_you_mean("oc", ("OC", "IC")) == ("Did you mean 'OC'?",)
    assert did_you_mean("zebra", ("stride", "pad")) == ()
