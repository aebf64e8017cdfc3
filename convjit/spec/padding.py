"""The `pad` clause: words, amounts and pairs become (low, high) for each spatial axis."""

from __future__ import annotations

from collections.abc import Sequence

from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.source import Span
from convjit.spec import geometry, words
from convjit.spec.evaluate import Scope
from convjit.spec.sizes import Sizes

Pairs = tuple[tuple[int, int], ...]


def per_axis(scope: Scope, exprs: Sequence[ast.Expr], spatial: Sequence[str], clause: ast.Stride | ast.Dilation) -> (
    tuple[int, ...] | None
):  # fmt: skip
    """One number for all spatial axes or one each, as `stride` and `dilation` take them."""
    word = type(clause).__name__.lower()
    if len(exprs) not in (1, len(spatial)):
        _wrong_count(scope, word, exprs, spatial)
        return None
    values = [scope.whole(expr, f"The {word}") for expr in exprs]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return tuple(known * (len(spatial) if len(known) == 1 else 1))


def amounts(scope: Scope, clause: ast.Pad, spatial: Sequence[str]) -> Pairs | str | None:
    """The pairs that a `pad` clause writes, or its word; None when they cannot be had (which has been reported)."""
    given = clause.amounts
    if isinstance(given, ast.Word):
        return given.text
    if isinstance(given, ast.Name) and given.text not in scope.constants:
        hint = did_you_mean(given.text, words.PADDINGS) or (f"The words are {', '.join(words.PADDINGS)}.",)
        scope.report(f"Unknown padding '{given.text}'.", given.span, "neither a word nor a constant", hint=hint)
        return None
    if not isinstance(given, tuple):
        amount = scope.whole(given, "The padding", least=0)
        return None if amount is None else ((amount, amount),) * len(spatial)
    if len(given) != len(spatial):
        pair = len(spatial) == 1 and len(given) == 2
        _wrong_count(scope, "pad", given, spatial, "Write pad ((low, high))." if pair else "")
        return None
    pairs = [_pair(scope, item) for item in given]
    known = [pair for pair in pairs if pair is not None]
    return tuple(known) if len(known) == len(pairs) else None


def same(sizes: Sizes, clause: ast.Pad, spatial: Sequence[str], stride: Sequence[int], dilation: Sequence[int],
         transposed: bool) -> Pairs | None:  # fmt: skip
    """The padding of `same` and `same_lower`; needs the input's size where the stride is not 1."""
    lower = isinstance(clause.amounts, ast.Word) and clause.amounts.text == "same_lower"
    pairs: list[tuple[int, int]] = []
    for axis, s, d in zip(spatial, stride, dilation, strict=True):
        kernel, size = sizes.get("K" + axis), sizes.get(axis)
        if kernel is None or axis not in sizes.given:
            return None
        if transposed:
            pairs.append(geometry.transposed_same_padding(kernel, s, d, lower))
        elif size is not None or s == 1:
            pairs.append(geometry.same_padding(size or 1, kernel, s, d, lower))
        else:
            sizes.scope.report(
                f"'pad same' needs the size of '{axis}', which is open.", _word_of(clause), "",
                f"With stride {s} the padding depends on the size; with stride 1 it does not.",
                "Write the padding in numbers, or give the size.",
            )  # fmt: skip
            return None
    return tuple(pairs)


def _word_of(clause: ast.Pad) -> Span | None:
    return clause.amounts.span if isinstance(clause.amounts, ast.Word) else clause.span


def _pair(scope: Scope, item: ast.Expr | ast.PadPair) -> tuple[int, int] | None:
    low, high = (item.low, item.high) if isinstance(item, ast.PadPair) else (item, item)
    first = scope.whole(low, "The padding", least=0)
    second = first if high is low else scope.whole(high, "The padding", least=0)
    return None if first is None or second is None else (first, second)


def _wrong_count(scope: Scope, word: str, entries: Sequence[ast.Node], spatial: Sequence[str], hint: str = "") -> None:
    axes = " ".join(spatial)
    first, last = entries[0].span, entries[-1].span
    scope.report(
        f"'{word}' has {len(entries)} entries, the convolution is {len(spatial)}-D.",
        first.to(last) if first and last else None, f"the axes are {axes}",
        hint=hint or f"Write one number for all, or one for each of {axes}, outermost first.",
    )  # fmt: skip
