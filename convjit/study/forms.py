"""One spec in every type and algorithm that there is: as forms that can be compiled, or as refusals with their reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec.conv import Compute, ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.unsupported import refuse
from convjit.study.real import Arrays, Form, real_form

TYPES = ("f32", "bf16", "f16", "i32", "i16", "i8")
INTEGERS = ("i32", "i16", "i8")
ALGORITHMS = ("direct", "im2col", "winograd 2", "winograd 4", "winograd 6")

BEST, HALF = "best", "half"
"""Scales of the least error, and half of both: a bit less of each factor, and smaller sums."""

Scales = tuple[float, float]
"""What input and weight are multiplied by."""

Choices = Mapping[str, Mapping[str, Scales]]
"""Scales by integer type and by a word for them, such as "best"; the first of a type is what `scale auto` takes."""


@dataclass(frozen=True)
class Variant:
    """The convolution in one type, by one algorithm. Where it cannot be had `form` is None and `why` says so.

    `scales` are those of `compute` in integers, `scaling` is the word for them.
    """

    dtype: str
    algorithm: str
    form: Form | None
    why: str = ""
    scales: Scales | None = None
    scaling: str = ""

    @property
    def name(self) -> str:
        """The type, and the word for its scales where that is not the usual one."""
        return self.dtype if self.scaling in ("", BEST) else f"{self.dtype} {self.scaling}"


def variants(spec: ConvSpec, given: Arrays, scales: Choices) -> tuple[Variant, ...]:
    """Every type by every algorithm, f32 first; a spec on tensors other than f32 has its own type besides.

    `scales` are taken for the integer types, each of a type's for the direct algorithm, the first for others; a spec that computes
    in one of them keeps its own.
    """
    return tuple(_variants(spec, given, scales))


def _variants(spec: ConvSpec, given: Arrays, scales: Choices) -> Iterator[Variant]:
    base = replace(spec, algorithm="auto", error=None, target=None, threads=None)
    own = own_type(spec)
    for algorithm in ALGORITHMS:
        for dtype in TYPES if own in TYPES else (*TYPES, own):
            if dtype == own:
                form = Form(with_scales(base, scales), given)
                yield _variant(dtype, algorithm, form, _numbers(form.spec))
            elif dtype == "f32":
                yield _variant(dtype, algorithm, real_form(base, given, "f32"))
            elif spec.input.dtype != "f32":
                yield Variant(dtype, algorithm, None, f"'compute {dtype}' is for f32 tensors, and the input is {own}.")
            else:
                chosen: list[tuple[str, Scales | None]] = [*scales.get(dtype, {}).items()] or [("", None)]
                for word, pair in chosen if algorithm == "direct" else chosen[:1]:
                    yield replace(_computed(base, given, dtype, algorithm, pair), scaling=word)


def own_type(spec: ConvSpec) -> str:
    """The type that a spec multiplies in, by its own words: "f32", "i16", "u8 x i8"."""
    if spec.compute is not None:
        return spec.compute.dtype
    x, w = spec.input.dtype, spec.weight.dtype
    return x if x == w and dtypes.is_float(x) else f"{x} x {w}"


def with_scales(spec: ConvSpec, scales: Choices) -> ConvSpec:
    """The spec with the first scales of its type where it leaves them to calibration."""
    if spec.compute is None or spec.compute.scales != "auto":
        return spec
    first = next(iter(scales.get(spec.compute.dtype, {}).values()), None)
    return spec if first is None else replace(spec, compute=replace(spec.compute, scales=first))


def _numbers(spec: ConvSpec) -> Scales | None:
    """The scales of `compute`, where both are numbers."""
    x, w = spec.compute.scales if spec.compute and isinstance(spec.compute.scales, tuple) else (None, None)
    return (x, w) if isinstance(x, float) and isinstance(w, float) else None


def _computed(spec: ConvSpec, given: Arrays, dtype: str, algorithm: str, scales: Scales | None) -> Variant:
    """f32 tensors multiplied in another type."""
    if dtype not in INTEGERS:
        return _variant(dtype, algorithm, Form(replace(spec, compute=Compute(dtype)), given))
    if scales is None:
        return Variant(dtype, algorithm, None, "There are no scales for it: calibration found none.")
    own = spec.compute.round if spec.compute else None
    form = Form(replace(spec, compute=Compute(dtype, scales, own or "half_even")), given)
    return _variant(dtype, algorithm, form, scales)


def _variant(dtype: str, algorithm: str, form: Form, scales: Scales | None = None) -> Variant:
    """The form as the language and this version allow it, or why they do not."""
    asked = replace(form.spec, algorithm=algorithm)
    try:
        (checked,) = from_text(str(asked)).values()
        refuse(checked)
    except ConvError as error:
        return Variant(dtype, algorithm, None, reason(error), scales)
    return Variant(dtype, algorithm, Form(replace(asked, places=checked.places), form.given), "", scales)


def reason(error: ConvError) -> str:
    """The sentences of an error, without its places."""
    return " ".join(d.message for d in error.diagnostics)
