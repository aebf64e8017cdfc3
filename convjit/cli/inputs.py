"""From options and files to the arrays of a call: open sizes settled, every shape and type checked against the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from convjit import dtypes
from convjit.cli.stored import Array, Stored
from convjit.cost.sizes import open_sizes
from convjit.errors import ConvError, Diagnostic, did_you_mean
from convjit.spec import geometry, layout
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


def parse_sizes(words: Iterable[str]) -> dict[str, int]:
    """The sizes of options such as N=4. `ConvError` for what is none."""
    sizes: dict[str, int] = {}
    for word in words:
        axis, _, number = word.partition("=")
        if not (number.isascii() and number.isdecimal()) or len(number) > 18 or int(number) < 1:
            raise ConvError.of(f"'--size {word}' is no size.", hint="Write --size N=4: an axis and a number from 1.")
        if sizes.setdefault(axis, int(number)) != int(number):
            raise ConvError.of(f"--size gives {axis} twice, {sizes[axis]} and {number}.")
    return sizes


def check_sizes(specs: Iterable[ConvSpec], wanted: Mapping[str, int]) -> None:
    """`ConvError` for a size of an axis that is open in none of the specs."""
    specs = tuple(specs)
    is_open = {axis for spec in specs for axis in spec.open_sizes}
    for axis, size in wanted.items():
        if axis in is_open:
            continue
        text = f"'--size {axis}={size}' is for an axis that is open, and '{axis}' is not."
        note = f"Open are {', '.join(sorted(is_open))}." if is_open else "There is no open size in the program."
        known = {a for spec in specs for a in spec.input.axes}
        raise ConvError.of(
            text, None, "", note, f"Write {axis}=? there." if axis in known else did_you_mean(axis, known)
        )


def settle(spec: ConvSpec, wanted: Mapping[str, int], stored: Mapping[str, Stored]) -> ConvSpec:
    """The spec with every open size settled: by an option, by a file, or by a default. `ConvError` where they disagree."""
    known = {axis: size for axis, size in wanted.items() if axis in spec.open_sizes}
    for name, array in stored.items():
        for axis, size in zip(spec.tensor(name).axes, _shape(spec.tensor(name), array), strict=False):
            if axis in spec.open_sizes:
                known.setdefault(axis, size)
    known = open_sizes(spec) | known
    return closed(spec, {axis: known[axis] for axis in spec.open_sizes})


def closed(spec: ConvSpec, sizes: Mapping[str, int]) -> ConvSpec:
    """The spec with these sizes for its open axes, and what follows for the output."""
    if not spec.open_sizes:
        return spec
    known = dict(sizes)
    formula = geometry.transposed_out_size if spec.transposed else geometry.out_size
    window = zip(spec.spatial, spec.in_size, spec.kernel_size, spec.stride, spec.dilation, spec.pad, strict=True)
    for axis, size, kernel, stride, dilation, pad in window:
        if size is not None:
            continue
        known[f"O{axis}"] = formula(sizes[axis], kernel, stride, dilation, pad)
        if known[f"O{axis}"] < 1:
            note = f"The kernel spans {geometry.reach(kernel, dilation)} along {axis}."
            text = f"{axis}={sizes[axis]} leaves nothing of the output of '{spec.name}'."
            raise ConvError.of(text, spec.input.span, "open here", note)
    return replace(spec, tensors=tuple(_filled(tensor, known) for tensor in spec.tensors))


def check_fit(spec: ConvSpec, stored: Mapping[str, Stored]) -> None:
    """`ConvError`, at the tensors' places in the program, for every file whose shape or type does not fit."""
    found = [d for name, array in stored.items() for d in _misfits(spec.tensor(name), array)]
    if found:
        raise ConvError(*found)


def load(tensor: Tensor, array: Stored) -> Array:
    """The data of a file in the tensor's order and type, row-major."""
    values = array.load()
    if array.axes:
        values = values.transpose(layout.permutation(array.axes, tensor.axes))
    wanted = dtypes.get(tensor.dtype).numpy
    if values.dtype.kind == "V" or values.dtype.newbyteorder("=") != wanted:
        values = np.ascontiguousarray(values).view(wanted)  # NumPy stores the types of ml_dtypes as bare bytes
    return np.ascontiguousarray(values, wanted)


def _filled(tensor: Tensor, known: Mapping[str, int]) -> Tensor:
    sizes = (known[axis] if size is None else size for axis, size in zip(tensor.axes, tensor.sizes, strict=True))
    return replace(tensor, sizes=tuple(sizes))


def _shape(tensor: Tensor, array: Stored) -> tuple[int, ...]:
    """The shape of a file in the tensor's order of axes, where its format has an order of its own."""
    if set(array.axes) != set(tensor.axes):
        return array.shape
    return tuple(array.shape[array.axes.index(axis)] for axis in tensor.axes)


def _misfits(tensor: Tensor, array: Stored) -> list[Diagnostic]:
    found = []
    wanted = dtypes.get(tensor.dtype).numpy
    if not _same_type(array.dtype, wanted):
        label = f"holds {array.dtype}"
        text = f"'{array.place}' does not have the type of '{tensor.name}', {tensor.dtype}."
        hint = f"Convert it: array.astype('{wanted.name}')."
        found.append(Diagnostic(text, tensor.span, label, hints=(hint,)))
    if array.axes and set(array.axes) != set(tensor.axes):
        axes = ", ".join(array.axes)
        text = f"'{array.place}' is for a 2-D convolution: a .bin file of this kind has the axes {axes}."
        found.append(Diagnostic(text, tensor.span, "", hints=("Give it as .npy.",)))
    elif _shape(tensor, array) != tensor.sizes:
        found.append(_misshaped(tensor, array))
    return found


def _misshaped(tensor: Tensor, array: Stored) -> Diagnostic:
    axes = array.axes or tensor.axes
    sizes = dict(zip(tensor.axes, tensor.sizes, strict=True))
    wanted = ", ".join(f"{axis}={sizes[axis]}" for axis in axes)
    text = f"'{array.place}' has the shape {list(array.shape)}; '{tensor.name}' needs [{wanted}]."
    if len(axes) != len(array.shape):
        return Diagnostic(text, tensor.span, f"{len(axes)} axes here, {len(array.shape)} in the file")
    differing = [f"{a} is {sizes[a]} here, {n} there" for a, n in zip(axes, array.shape, strict=True) if sizes[a] != n]
    return Diagnostic(text, tensor.span, differing[0], hints=_transposed(tensor, array))


def _transposed(tensor: Tensor, array: Stored) -> tuple[str, ...]:
    """A hint where the same sizes stand in another order, and no two are equal."""
    if array.axes or sorted(array.shape) != sorted(map(int, filter(None, tensor.sizes))):
        return ()
    if len(set(array.shape)) != len(array.shape):
        return ("The file has the same sizes in another order.",)
    order = ", ".join(tensor.axes[tensor.sizes.index(size)] for size in array.shape)
    return (f"The file's order would be [{order}].",)


def _same_type(there: np.dtype[np.generic], wanted: np.dtype[np.generic]) -> bool:
    if there.newbyteorder("=") == wanted:
        return True
    return wanted.num > 255 and there.kind == "V" and there.names is None and there.itemsize == wanted.itemsize
