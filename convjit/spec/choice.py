"""A word that must be one of those that a clause takes."""

from __future__ import annotations

from collections.abc import Sequence

from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.spec.evaluate import Scope


def known_word(scope: Scope, word: ast.Word, choices: Sequence[str], what: str) -> str | None:
    """The word, when it is one of the choices; `what` names its kind in the message."""
    if word.text in choices:
        return word.text
    hint = did_you_mean(word.text, choices) or (f"There are {', '.join(choices)}.",)
    article = "an" if what[0] in "ae" else "a"
    scope.report(f"Unknown {what} '{word.text}'.", word.span, f"not {article} {what}", hint=hint)
    return None
