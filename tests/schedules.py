"""Random schedules for a spec, as text. Most are legal; the others must be refused with a reason."""

from __future__ import annotations

import random

from convjit.spec.conv import ConvSpec

OPEN = 40
"""What an open size counts as."""

Chain = list[str]
"""The tokens of an axis, outermost first."""


class Axes:
    """The axes of a convolution as a schedule names them, with their sizes."""

    def __init__(self, spec: ConvSpec) -> None:
        self.letters = [a.lower() for a in spec.spatial]
        sizes = {"n": spec.batch, "g": spec.groups, "oc": spec.oc_per_group}
        sizes |= {f"o{l}": s for l, s in zip(self.letters, spec.out_size, strict=True)}
        self.output = list(sizes)
        sizes |= {f"k{l}": s for l, s in zip(self.letters, spec.kernel_size, strict=True)}
        sizes["c"] = spec.ic_per_group
        self.sums = [a for a in sizes if a not in self.output]
        self.sizes = {a: OPEN if s is None else s for a, s in sizes.items()}
        self.open = {a for a, s in sizes.items() if s is None}
        self.plain = all(s == 1 for s in spec.stride + spec.dilation)


def random_schedule(r: random.Random, spec: ConvSpec, lanes: int = 8) -> str:
    """The lines of a `dataflow { … }` block for a CPU."""
    make = r.choice([general] * 6 + [weight_stationary, input_stationary, row_stationary, depthwise])
    return make(r, Axes(spec), r.choice([lanes] * 4 + [max(lanes // 2, 1), 2]))


# --- any order of loops -------------------------------------------------------------------------------------------


def general(r: random.Random, axes: Axes, v: int) -> str:
    """Loops in any order around and inside the output's registers; a sum outside visits the output again."""
    simd = r.choice(["oc", "oc", "oc", "g", axes.output[-1], None])
    chains = {a: output_chain(r, axes, a, v if a == simd else 0) for a in axes.output}
    outer, inner = [c[0] for c in chains.values()], [c[1] for c in chains.values()]
    if r.random() < 0.3:
        share(r, outer)
    revisit = r.random() < 0.3
    for a in axes.sums:
        chain = sum_chain(r, axes, a)
        cut = r.randint(0, len(chain)) if revisit else 0
        outer.append([t.replace(":unroll", "") for t in chain[:cut]])
        inner.append(chain[cut:])
    left, right = merge(r, outer), lanes_last(merge(r, inner))
    fuse = fused(r, axes, left, right) if r.random() < 0.15 else None
    if r.random() < 0.35:
        left.insert(r.randint(0, len(left)), scratch(r, axes, v, own_line=fuse is None))
    if r.random() < 0.2:
        right.insert(first_unrolled(right), r.choice(["[w]", "[x]"]))
    lines = [" ".join([*left, "[y]", *right])]
    if r.random() < 0.7:
        lines.append(pack(r, axes, v if simd in ("oc", "g") else 0, simd or ""))
    return "\n".join([*([fuse] if fuse else []), *lines])


def output_chain(r: random.Random, axes: Axes, a: str, v: int) -> tuple[Chain, Chain]:
    """Loops of an axis of the output: outside the registers, and inside."""
    size, is_open = axes.sizes[a], a in axes.open
    if v:
        vectors = r.choice([1, 1, 2, 3])
        step = [f"{a}/{v}:unroll"] if vectors > 1 or r.random() < 0.5 else []
        whole = [f"{a}/{vectors * v}"] if is_open or size > vectors * v or not step else []
        return whole, [*step, f"{a}:simd"]
    way = r.choice(["out", "tile", "tile", "tiles", "in"])
    if way == "in" and not is_open and size <= 5:
        return [], [f"{a}:unroll"]
    if way == "out":
        return [a], []
    t = r.randint(2, 5)
    tiles = [f"{a}/{t * r.randint(2, 3)}"] if way == "tiles" else []
    return [*tiles, f"{a}/{t}"], [f"{a}:unroll"]


def sum_chain(r: random.Random, axes: Axes, a: str) -> Chain:
    """Loops of an axis of the sum."""
    way = r.choice(["rolled"] * 3 + ["unroll", "tile"])
    if way == "unroll" and axes.sizes[a] <= 5:
        return [f"{a}:unroll"]
    if way == "tile":
        return [f"{a}/{r.randint(2, 4)}", a + r.choice(["", ":unroll"])]
    return [a]


def share(r: random.Random, outer: list[Chain]) -> None:
    """Workers run the outermost loop of an axis, or of two."""
    for chain in r.sample([c for c in outer if c], min(r.choice([1, 1, 2]), sum(map(bool, outer)))):
        chain[0] += ":thread"


def fused(r: random.Random, axes: Axes, left: Chain, right: Chain) -> str | None:
    """One axis in place of the batch and space, if their loops are not shared or in lanes."""
    names = [a for a in axes.output if a not in ("g", "oc")]
    mine = [t for t in left + right if token_axis(t) in names]
    if any("thread" in t or "simd" in t for t in mine) or not mine:
        return None
    for t in mine:
        (left if t in left else right).remove(t)
    if r.random() < 0.7:
        left.insert(r.randint(0, len(left)), f"p/{r.randint(2, 9)}")
        right.insert(first_unrolled(right), "p:unroll")
    else:
        left.insert(r.randint(0, len(left)), "p")
    return f"fuse p = {'.'.join(names)}"


def scratch(r: random.Random, axes: Axes, v: int, own_line: bool) -> str:
    """A copy of the input, by its own line or a derived one."""
    pad = f" pad {r.randint(1, 5)}" if r.random() < 0.2 else ""
    if not own_line or r.random() < 0.6:
        return f"[x: scratch{pad}]"
    dims = shuffled(r, ["n", *axes.letters])
    tail = r.choice([["c"], [f"c/{v}", "c:simd"], ["c/2", "c"]])
    return f"[x: scratch{pad} | {' '.join([*dims, *tail])}]"


def pack(r: random.Random, axes: Axes, v: int, lanes: str) -> str:
    """The weight in any order, the lanes innermost in blocks."""
    dims = shuffled(r, ["g", "oc", *axes.sums])
    if not v:
        return f"pack w: {' '.join(dims)}"
    rest = [d for d in dims if d != lanes]
    return f"pack w: {' '.join([f'{lanes}/{v * r.choice([1, 1, 2])}', *rest, lanes])}"


# --- the dataflows by name ----------------------------------------------------------------------------------------


def weight_stationary(r: random.Random, axes: Axes, v: int) -> str:
    """A tile of the weight stays while the output passes by."""
    space = [f"o{l}" for l in axes.letters]
    taps = [f"k{l}" for l in axes.letters]
    tile = f"c/{r.randint(2, 4)}"
    line = ["g", f"oc/{2 * v}", *shuffled(r, [*taps, tile]), "[w]", "n", *space]
    line += ["[y]", "c:unroll", f"oc/{v}:unroll", "oc:simd"]
    return "\n".join([" ".join(line), f"pack w: g oc/{2 * v} {' '.join(taps)} c oc"])


def input_stationary(r: random.Random, axes: Axes, v: int) -> str:
    """A tile of the input stays; every output that it touches is visited."""
    tiles = [f"o{l}/{r.choice([1, 2, 3])}" for l in axes.letters]
    tiles = [t.removesuffix("/1") for t in tiles]
    walk = [f"{{o{l}+k{l}}}:unroll" if "/" in t else "" for l, t in zip(axes.letters, tiles, strict=True)]
    taps = [f"k{l}:unroll" for l in axes.letters]
    line = [
        "n",
        "g",
        *shuffled(r, [*tiles, "c"]),
        "[x]",
        f"oc/{v}",
        "[y]",
        *filter(None, walk),
        *taps,
        "oc:simd",
    ]
    return "\n".join([" ".join(line), f"pack w: g oc/{v} c {' '.join(f'k{l}' for l in axes.letters)} oc"])


def row_stationary(r: random.Random, axes: Axes, v: int) -> str:
    """A row of the weight stays while rows of the output pass by."""
    *outside, last = axes.letters
    line = ["g", f"oc/{2 * v}", "c", *(f"k{l}" for l in outside), "[w]", "n", *(f"o{l}" for l in outside)]
    line += [
        f"o{last}/{r.randint(2, 7)}",
        "[y]",
        f"k{last}:unroll",
        f"o{last}:unroll",
        f"oc/{v}:unroll",
        "oc:simd",
    ]
    return "\n".join([" ".join(line), f"pack w: g oc/{2 * v} c {' '.join(f'k{l}' for l in axes.letters)} oc"])


def depthwise(r: random.Random, axes: Axes, v: int) -> str:
    """Groups in lanes."""
    *outside, last = axes.letters
    taps = [f"k{l}:unroll" for l in axes.letters]
    line = ["n", *(f"o{l}/{r.randint(1, 3)}".removesuffix("/1") for l in outside), f"g/{v}", "oc", "c", "[w]"]
    line += [f"o{last}/2", "[y]"]
    inner = [f"o{l}" for l in axes.letters if f"o{l}" not in line]
    if axes.plain and r.random() < 0.4:
        line += [f"{{o{t[1:]}+k{t[1:]}}}:unroll" for t in inner] + taps
    else:
        line += [f"{t}:unroll" for t in inner] + taps
    return "\n".join([" ".join([*line, "g:simd"]), f"pack w: g/{v} oc c {' '.join(f'k{l}' for l in axes.letters)} g"])


# --- tokens -------------------------------------------------------------------------------------------------------


def token_axis(token: str) -> str:
    """`ow/4:unroll` -> ow"""
    return token.split(":")[0].split("/")[0]


def shuffled(r: random.Random, items: list[str]) -> list[str]:
    """In a random order."""
    return r.sample(items, len(items))


def merge(r: random.Random, chains: list[Chain]) -> Chain:
    """All of them, each in its own order."""
    left = [list(c) for c in chains if c]
    merged = []
    while left:
        chain = r.choice(left)
        merged.append(chain.pop(0))
        left = [c for c in left if c]
    return merged


def lanes_last(tokens: Chain) -> Chain:
    """Lanes innermost."""
    return sorted(tokens, key=lambda t: t.endswith(":simd"))


def first_unrolled(tokens: Chain) -> int:
    """Where the trailing run of unrolled loops and lanes begins."""
    place = len(tokens)
    while place and ("unroll" in tokens[place - 1] or "simd" in tokens[place - 1]):
        place -= 1
    return place
