"""The clauses about how to compute: algorithm, error, compute, requantize, target, threads, dataflow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convjit import dtypes
from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.source import Span
from convjit.spec import arithmetic, scales, words
from convjit.spec.choice import known_word
from convjit.spec.clauses import all_of, head, one_of
from convjit.spec.declare import Declarations
from convjit.spec.evaluate import Scope
from convjit.spec.tensor import Compute

MOST_THREADS = 4096
TARGET = re.compile(r"(cpu|cuda)(:\w+)?|interpret")


@dataclass(frozen=True)
class Options:
    """How to compute, with every default filled in."""

    dataflow: str | tuple[ast.ScheduleBlock, ...] = "auto"
    algorithm: str = "auto"
    error: float | None = None
    compute: Compute | None = None
    requantize: str | None = None
    target: str | None = None
    threads: int | None = None


def read(scope: Scope, conv: ast.Conv, found: Declarations) -> Options:
    """Evaluate the options of a convolution; what is wrong has been reported."""
    x, w, y = (found.role(role) or "" for role in ("input", "weight", "output"))
    stored, quantised = found.dtype(x), found.scale(y) is not None
    multiplied = [found.tensors[name] for name in (x, w, y) if name]
    _check_scales(scope, multiplied, found)
    chosen, error, inside = (one_of(scope, conv, ast.Algorithm), one_of(scope, conv, ast.Error),
                             one_of(scope, conv, ast.Compute))  # fmt: skip
    rounding, machine, threads = (one_of(scope, conv, ast.Requantize), one_of(scope, conv, ast.Target),
                                  one_of(scope, conv, ast.Threads))  # fmt: skip
    return Options(
        dataflow(scope, conv),
        algorithm(scope, chosen) or "auto" if chosen else "auto",
        error_bound(scope, error, stored) if error else None,
        arithmetic.compute(scope, inside, (x, w), stored, found) if inside and stored else None,
        arithmetic.profile(scope, conv, rounding, found) if rounding else "onnx" if quantised else None,
        target(scope, machine) if machine else None,
        scope.whole(threads.value, "The number of threads", most=MOST_THREADS) if threads else None,
    )


def _check_scales(scope: Scope, multiplied: list[ast.Tensor], found: Declarations) -> None:
    """Whether f32 holds the scales of input, weight and output, and what is multiplied of them."""
    given = [found.scale(tensor.name.text) for tensor in multiplied]
    vectors = [name for name in given if isinstance(name, str)]
    if all([scales.check_vector(scope, found.tensors[name], found.numbers(name)) for name in vectors]):
        scales.check_products(scope, multiplied, [found.numbers(scale) for scale in given])


def algorithm(scope: Scope, clause: ast.Algorithm) -> str | None:
    """auto, direct, im2col, "winograd 4"."""
    word = known_word(scope, clause.word, words.ALGORITHMS, "algorithm")
    if word == "winograd":
        if clause.tile in words.WINOGRAD_TILES:
            return f"winograd {clause.tile}"
        hint = "Write winograd 2, winograd 4 or winograd 6: the side of the output tile."
        label = "no side" if clause.tile is None else f"not {clause.tile}"
        span = clause.word.span if clause.tile is None else _behind(clause)
        scope.report("'winograd' takes the side of its output tile.", span, label, hint=hint)
        return None
    if word is not None and clause.tile is not None:
        scope.report(f"'algorithm {word}' takes no number.", _behind(clause), "delete it")
    return word


def _behind(clause: ast.Algorithm) -> Span | None:
    """The number behind an algorithm's word."""
    whole, word = clause.span, clause.word.span
    return Span(whole.source, word.end + 1, whole.end) if whole and word else None


def check_algorithm(scope: Scope, conv: ast.Conv, chosen: Options, window: tuple[int, ...]) -> None:
    """Whether an algorithm can do what is asked; `window` are all strides and dilations."""
    if not chosen.algorithm.startswith("winograd"):
        return
    span = next(clause.word.span for clause in conv.clauses if isinstance(clause, ast.Algorithm))
    if set(window) != {1}:
        scope.report(
            "Winograd's algorithm needs stride 1 and dilation 1.", span, "",
            "Its transforms share inputs between neighbouring outputs.", "Write algorithm direct, or leave it out.",
        )  # fmt: skip
    _check_floating(scope, conv, chosen, span)
    if chosen.error == 0:
        hint = "Write algorithm direct, or leave 'error' out."
        scope.report("'error 0' rules out Winograd's algorithm.", span, "its rounding differs", hint=hint)


def _check_floating(scope: Scope, conv: ast.Conv, chosen: Options, span: Span | None) -> None:
    """Whether Winograd's algorithm multiplies floats: its transforms make fractions of integers, or larger ones."""
    stored = next(tensor.type.text for tensor in all_of(conv, ast.Tensor) if tensor.role == "input")
    dtype = chosen.compute.dtype if chosen.compute else stored
    if dtype in dtypes.TYPES and not dtypes.is_float(dtype):
        label = f"'compute {dtype}' multiplies integers" if chosen.compute else f"the input is {stored}"
        scope.report(
            "Winograd's algorithm is for floating-point arithmetic.", span, label,
            "Sums of integers are exact here; its transforms divide, or need numbers of more bits.",
            "Write algorithm direct, or leave it out.",
        )  # fmt: skip


def error_bound(scope: Scope, clause: ast.Error, stored: str | None) -> float | None:
    """The bound on the NRMSE; `stored` is the type of the input's elements."""
    if stored is not None and not dtypes.is_float(stored):
        scope.report("'error' is for floating-point tensors.", head(clause), "integers are exact")
        return None
    return scope.real(clause.bound)


def target(scope: Scope, clause: ast.Target) -> str | None:
    """The target's name; which names there are is known where the machines are."""
    if TARGET.fullmatch(clause.word.text):
        return clause.word.text
    hint = did_you_mean(clause.word.text, ("cpu", "cuda", "interpret")) or (
        "A target is cpu, cpu:avx2, cuda, cuda:sm_80, interpret, …",
    )
    scope.report(f"Unknown target '{clause.word.text}'.", clause.word.span, "not a target", hint=hint)
    return None


def dataflow(scope: Scope, conv: ast.Conv) -> str | tuple[ast.ScheduleBlock, ...]:
    """A word, or the blocks of a schedule, each of a phase of its own."""
    blocks, named = all_of(conv, ast.ScheduleBlock), all_of(conv, ast.Dataflow)
    for clause in named[1:] if not blocks else named:
        scope.report("There is more than one dataflow.", head(clause), "another one")
    phases = [block.phase for block in blocks]
    for i, block in enumerate(blocks):
        if block.phase in phases[:i] or block.phase is None and len(blocks) > 1:
            which = f"of the phase '{block.phase}'" if block.phase else "without a phase beside others"
            scope.report(f"There is more than one dataflow: a block {which}.", head(block), "another one")
        if not block.lines and not conv.damaged:
            scope.report("The dataflow is empty.", head(block), "has no loops", hint="Write dataflow auto.")
    if blocks:
        return blocks
    return (known_word(scope, named[0].word, words.DATAFLOWS, "dataflow") or "auto") if named else "auto"
