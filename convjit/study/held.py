"""Putting scales and zero points into a spec: numbers into its clauses, vectors into params that hold them."""

from __future__ import annotations

from dataclasses import replace

from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Compute, Tensor
from convjit.study.grid import Array

TYPES = {"scale": "f32", "zero": "i32"}
"""The types of such vectors."""


def with_vectors(spec: ConvSpec, **found: Array) -> ConvSpec:
    """The spec whose weight has these `scale` and `zero`: numbers, or vectors over the output channels.

    A vector keeps the name of the param that stood there before, otherwise it is called after the weight; a param that
    nothing reads any more is left out.
    """
    for word, numbers in found.items():
        spec = _with_vector(spec, word, numbers)
    used = {t.scale for t in spec.tensors} | {t.zero for t in spec.tensors} | {a for s in spec.then for a in s.args}
    used |= set(_scales(spec))
    return replace(spec, tensors=tuple(t for t in spec.tensors if t.role != "param" or t.name in used))


def _with_vector(spec: ConvSpec, word: str, numbers: Array) -> ConvSpec:
    if numbers.ndim == 0 or (word == "zero" and not numbers.any()):
        number = float(numbers) if word == "scale" else int(numbers.flat[0]) or None
        return _with_number(spec, word, number)
    old = _now(spec, word)
    name = old if isinstance(old, str) else _free(spec, f"{spec.weight.name}_{word}")
    values = tuple(float(n) if word == "scale" else int(n) for n in numbers)
    before = next((t for t in spec.params if t.name == name), None)
    vector = before or Tensor(name, "param", TYPES[word], ("OC",), (len(values),))
    kept = tuple(t for t in spec.tensors if t.name != name)
    return _with_number(replace(spec, tensors=(*kept, replace(vector, values=values))), word, name)


def _with_number(spec: ConvSpec, word: str, number: float | str | None) -> ConvSpec:
    """The weight's own clause, or that of `compute`, with the number or the name of a vector."""
    if word == "scale" and spec.compute is not None and isinstance(spec.compute.scales, tuple):
        assert number is not None
        return replace(spec, compute=replace(spec.compute, scales=(spec.compute.scales[0], number)))
    given = {word: number}
    tensors = tuple(replace(t, **given) if t.role == "weight" else t for t in spec.tensors)  # type: ignore[arg-type]
    return replace(spec, tensors=tensors)


def _now(spec: ConvSpec, word: str) -> float | str | None:
    scales = _scales(spec)
    if word == "scale" and scales:
        return scales[1]
    return spec.weight.scale if word == "scale" else spec.weight.zero


def _scales(spec: ConvSpec) -> tuple[float | str, ...]:
    clause: Compute | None = spec.compute
    return clause.scales if clause is not None and isinstance(clause.scales, tuple) else ()


def _free(spec: ConvSpec, name: str) -> str:
    """The name, or with a number behind it where a tensor has it already."""
    taken = {t.name for t in spec.tensors}
    return next(n for n in (name, *(f"{name}{i}" for i in range(1, len(taken) + 2))) if n not in taken)
