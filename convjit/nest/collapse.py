"""A fused axis that needs no digits: where every tensor has its axes side by side, they are one axis of memory.

`fuse p = n.oh.ow` over a 1x1 convolution of stride 1 without padding: x[n, h, w, c] and y[n, oh, ow, oc], both with
channels last, are x[p, c] and y[p, oc]. Then a tile of p runs across rows and images, and no index is divided.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.nest.affine import Affine, number, var
from convjit.nest.domain import Domain
from convjit.nest.ir import Buffer, Expr, Load
from convjit.nest.layout import Layout
from convjit.nest.visit import loads_of, map_loads
from convjit.schedule.schedule import Fuse


def collapse(domain: Domain, fuse: Fuse) -> Domain | None:
    """The domain with one axis in place of the fused ones; None where a tensor does not allow it."""
    axes = [a for a in fuse.axes if domain.size(a) != number(1)]
    if not axes or any(domain.size(a).terms for a in axes):
        return None
    accesses = [*domain.original.values(), *loads_of(domain.epilogue)]
    buffers = {b.name: b for b in domain.buffers}
    made: dict[str, Buffer] = {}
    for access in accesses:
        if access.buffer not in buffers or not moves(access, axes):
            continue  # the accumulator, a weight, a bias
        merged = merge(buffers[access.buffer], access, axes, fuse.name, domain)
        if merged is None:
            return None
        made[access.buffer] = merged

    def change(load: Load) -> Load:
        return shorten(load, axes, fuse.name) if load.buffer in made else load

    def read(load: Load) -> Expr:
        return change(load)

    size = number(1)
    for a in axes:
        size = size * domain.size(a).const
    kept = [(a, s) for a, s in domain.axes if a not in axes]
    update = domain.update
    update = replace(update, target=change(update.target), a=map_loads(update.a, read))
    return replace(
        domain, axes=((fuse.name, size), *kept), buffers=tuple(made.get(b.name, b) for b in domain.buffers),
        update=update, epilogue=map_loads(domain.epilogue, read),
    )  # fmt: skip


def moves(access: Load, axes: list[str]) -> bool:
    """Whether the access depends on one of the axes."""
    return any(index.coefficient(a) for index in access.index for a in axes)


def merge(buffer: Buffer, access: Load, axes: list[str], name: str, domain: Domain) -> Buffer | None:
    """The buffer with one dimension in place of those that the axes walk; None where they do not lie side by side."""
    layout = buffer.layout
    if layout is None or any(g.affine.names() & set(axes) for g in access.inside):
        return None
    dims: list[str] = []
    for a in axes:
        dim = next((d for d, i in zip(buffer.dims, access.index, strict=True) if i == var(a)), None)
        if dim is None or number_of(dict(layout.sizes)[dim]) != domain.size(a):
            return None
        dims.append(dim)
    if any(i.names() & set(axes) for d, i in zip(buffer.dims, access.index, strict=True) if d not in dims):
        return None
    sizes = dict(layout.sizes)
    order = [d for d, _ in layout.parts if sizes[d] != 1]
    place = order.index(dims[0])
    if order[place : place + len(dims)] != dims or any(block > 1 for _, block in layout.parts):
        return None
    whole = 1
    for a in axes:
        whole *= domain.size(a).const
    parts = tuple((name if d == dims[0] else d, 1) for d, _ in layout.parts if d not in dims[1:])
    kept = tuple((name, whole) if d == dims[0] else (d, s) for d, s in layout.sizes if d not in dims[1:])
    renamed = tuple(name if d == dims[0] else d for d in buffer.dims if d not in dims[1:])
    return replace(buffer, dims=renamed, layout=Layout(parts, kept, layout.pad))


def number_of(size: int | str) -> Affine | None:
    """A known size as an expression."""
    return number(size) if isinstance(size, int) else None


def shorten(load: Load, axes: list[str], name: str) -> Load:
    """The access with one index for all of the axes."""
    first, gone = var(axes[0]), {var(a) for a in axes[1:]}
    index = tuple(var(name) if i == first else i for i in load.index if i not in gone)
    return replace(load, index=index)
