"""The clauses about arithmetic: `compute`, the type that multiplications run in, and `requantize`."""

from __future__ import annotations

from convjit import dtypes
from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.spec import scales, words
from convjit.spec.choice import known_word
from convjit.spec.clauses import all_of, head
from convjit.spec.declare import Declarations
from convjit.spec.evaluate import Scope
from convjit.spec.tensor import Compute


def compute(
    scope: Scope, clause: ast.Compute, names: tuple[str, str], stored: str, found: Declarations
) -> Compute | None:
    """The arithmetic type; `names` are those of input and weight, `stored` is the type of their elements."""
    word = known_word(scope, clause.type, words.COMPUTE_TYPES, "compute type")
    if word is None:
        return None
    whole = word in dtypes.TYPES and not dtypes.is_float(word)
    if stored != "f32" and (whole or word != stored):
        scope.report(f"'compute {word}' is for f32 tensors.", clause.type.span, f"the input is {stored}")
        return None
    if not whole:
        if clause.scales:
            scope.report(f"'compute {word}' takes no scales.", clause.type.span, "only integers need them")
            return None
        return Compute(word)
    if not clause.scales:
        scope.report(
            f"'compute {word}' needs scales.", clause.type.span, "",
            hint=f"Write compute {word} scale auto, or scale {names[0]} 2^7, {names[1]} 2^7.",
        )  # fmt: skip
        return None
    rounding = "half_even"
    if clause.round is not None:
        rounding = known_word(scope, clause.round, words.ROUNDINGS, "rounding") or rounding
    if isinstance(clause.scales, ast.Word):
        return Compute(word, "auto", rounding)
    factors = _factors(scope, clause.scales, names, found)
    return Compute(word, factors, rounding) if factors else None


def _factors(
    scope: Scope, factors: tuple[ast.Factor, ...], names: tuple[str, str], declared: Declarations
) -> tuple[float, float | str] | None:
    found: dict[str, float | str | None] = {}
    for factor in factors:
        name = factor.tensor.text
        if name not in names or name in found:
            label = "scaled twice" if name in found else "neither input nor weight"
            scope.report(
                f"The scales are for '{names[0]}' and '{names[1]}'.", factor.tensor.span, label,
                hint=did_you_mean(name, set(names) - set(found)),
            )  # fmt: skip
        else:
            found[name] = _factor(scope, factor, name == names[1], declared)
    sx, sw = map(found.get, names)
    if not isinstance(sx, float) or sw is None:
        return None
    return (sx, sw) if scales.check_factors(scope, sx, declared.numbers(sw), factors[-1].value) else None


def _factor(scope: Scope, factor: ast.Factor, weight: bool, declared: Declarations) -> float | str | None:
    """A scale: a number, or for the weight the name of a param."""
    if not isinstance(factor.value, ast.Per):
        return scales.positive(scope, factor.value)
    if not weight or factor.value.axis != "OC":
        label = f"'{factor.tensor.text}' is the {'weight' if weight else 'input'}"
        scope.report("A scale by axis is for a weight, per OC.", factor.value.span, label)
        return None
    name = scales.param(scope, factor.value, declared.tensors, ("f32",))
    sound = name and scales.check_vector(scope, declared.tensors[name], declared.numbers(name))
    return name if sound else None


def profile(scope: Scope, conv: ast.Conv, clause: ast.Requantize, found: Declarations) -> str | None:
    """The rounding profile of a quantised output; what it cannot do has been reported."""
    if found.scale(found.role("output") or "") is None:
        scope.report("'requantize' is for an output with a scale.", head(clause), "the output has none")
        return None
    word = known_word(scope, clause.word, words.PROFILES, "profile")
    if word in words.INTEGER_PROFILES:
        _check_whole(scope, conv, word, found)
    return word


def _check_whole(scope: Scope, conv: ast.Conv, word: str, found: Declarations) -> None:
    """Whether a profile that only knows integers is given nothing else."""
    others = ", ".join(p for p in words.PROFILES if p not in words.INTEGER_PROFILES)
    for step in all_of(conv, ast.Then):
        if step.word.text in words.STEPS and step.word.text not in words.COMPARING_STEPS:
            scope.report(
                f"'requantize {word}' has no step '{step.word.text}'.", step.word.span, "needs real numbers",
                "It works in integers alone, where relu, relu6 and clip become ends of the output.",
                f"Choose {others}.",
            )  # fmt: skip
    for tensor in found.tensors.values():
        dtype = found.dtype(tensor.name.text)
        if tensor.role == "bias" and dtype == "f32":
            scope.report(
                f"'requantize {word}' takes no bias of f32.", tensor.type.span, "a real number",
                "It works in integers alone.", f"Declare it i32, in units of scale_x * scale_w, or choose {others}.",
            )  # fmt: skip
        if tensor.role == "input" and dtype is not None and dtypes.bits(dtype) > 8:
            scope.report(
                f"'requantize {word}' is for inputs of 8 bits.", tensor.type.span, f"is {dtype}",
                f"Its multiplication takes sums of 32 bits; those over {dtype} are held in 64.", f"Choose {others}.",
            )  # fmt: skip
