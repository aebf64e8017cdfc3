"""Random schedules for a GPU: tiles in shared memory through rings, boxes with halos, and kernels without either."""

from __future__ import annotations

import random
import re

from tests.schedules import Axes, pack, shuffled


def random_gpu_schedule(r: random.Random, axes: Axes) -> str:
    """The lines of a `dataflow { … }` block."""
    make = r.choice([matrix, matrix, matrix, box, box, direct, direct, stationary])
    lines = make(r, axes)
    if r.random() < 0.5:
        lines.append(pack(r, axes, 0, ""))
    return "\n".join(lines)


def random_dot_schedule(r: random.Random, axes: Axes) -> str:
    """The same with dot products of four channels: the last loop of the line, over channels in steps of words."""
    make = r.choice([matrix, matrix, box, direct, stationary])
    lines = make(r, axes)
    place = next(i for i, line in enumerate(lines) if "[y]" in line)
    tokens = [dotted(t) for t in lines[place].split(" ") if t != "[x]" or r.random() < 0.8]
    if not any(t.startswith("c/") for t in tokens):
        tokens.insert(tokens.index("[y]") + 1, "c/4")
    taps = shuffled(r, axes.sums[:-1])
    own = {"x": ["p"] if make is matrix else ["n", *axes.letters], "w": ["g", "oc", *taps]}
    line = " ".join([*tokens, "c:dot"])
    for tensor, dims in own.items():
        if r.random() < 0.3:
            copy = f"| {' '.join(f'{d}:unroll' for d in dims)} c/4:thread c:dot]"
            line = re.sub(rf"(\[{tensor}: shared[^]]*)\]", rf"\1 {copy}", line)
    orders = ["g {} c/4 oc c", "{} g oc/4 c/16 c/4 oc c", "g oc/16 {} c/16 oc c", "g {} oc c"]
    orders = [o for o in orders if make is not direct or "oc/" not in o]  # its tiles do not keep to blocks
    packs = r.choice([[f"pack w: {o.format(' '.join(taps))}"] for o in orders] + [[]])
    lines[place] = line
    return "\n".join([*lines, *packs])


def dotted(token: str) -> str:
    """A loop over channels in steps of words; other tokens as they are."""
    known = {"c": "c/4", "c:unroll": "c/4:unroll", "c/2": "c/8", "c/4": "c/16", "c/8": "c/32"}
    return known.get(token, token)


def detail(r: random.Random, rows: bool = True) -> str:
    """How a tile is copied to shared memory: plainly, asynchronously, through a ring of either kind."""
    pad = r.choice(["", "", " pad 4", " pad 1"])
    if not rows:
        return pad
    return r.choice(["", " ring 2", " by cp.async", " ring 2 by cp.async", " ring 3 by cp.async"]) + pad


def matrix(r: random.Random, axes: Axes) -> list[str]:
    """A matrix product over fused pixels: blocks, warps, lanes, registers."""
    fuse = f"fuse p = {'.'.join(a for a in axes.output if a not in ('g', 'oc'))}"
    lanes_p = r.choice([2, 4, 8, 8])
    lanes_o = 32 // lanes_p
    own_p, own_o = r.choice([1, 2, 4]), r.choice([1, 2, 4])
    warps_p, warps_o = r.choice([1, 1, 2]), r.choice([1, 1, 2])
    warp_p, warp_o = lanes_p * own_p, lanes_o * own_o
    how = detail(r)
    k = r.choice(["c/4", "c/8", "c/2", "c"])
    left = [
        f"p/{warp_p * warps_p}:block",
        f"oc/{warp_o * warps_o}:block",
        "[y]",
        *shuffled(r, axes.sums[:-1]),
        k,
    ]
    staged = r.choice([["x", "w"], ["x", "w"], ["w"], ["x"]])
    stages = [f"[{t}: shared{how}]" for t in staged]
    work = [f"p/{warp_p}:warp"] * (warps_p > 1) + [f"oc/{warp_o}:warp"] * (warps_o > 1)
    work += [] if k == "c" else ["c:unroll"]
    pixels = [f"p/{lanes_p}:unroll"] * (own_p > 1) + ["p:lane"]
    channels = [f"oc/{own_o}:lane", "oc:unroll"] if own_o > 1 else ["oc:lane"]
    if r.random() < 0.5:
        work += ["[x]", *pixels, "[w]", *channels]
    else:
        work += [*pixels, *channels]
    grouped = ["g:block"] if axes.sizes["g"] > 1 else []
    return [fuse, " ".join([*grouped, *left, *stages, *work])]


def box(r: random.Random, axes: Axes) -> list[str]:
    """A block keeps the part of the image that its pixels see."""
    *outside, last = [f"o{l}" for l in axes.letters]
    tile = r.randint(2, 5)
    channels = r.choice([1, 2, 4])
    line = ["n:block", *(f"{a}:block" for a in outside), "g:block"]
    line += [f"{last}/{tile}:thread", f"oc/{channels}:thread", "[y]"]
    taps = shuffled(r, axes.sums[:-1])
    cut = r.randint(0, len(taps))
    line += [*taps[:cut], r.choice(["c", "c/4", "c/2"])]
    line += [f"[x: shared{detail(r, False)}]"]
    line += [f"[w: shared{detail(r, False)}]"] if r.random() < 0.5 else []
    line += taps[cut:]
    line += ["c:unroll"] if any(t.startswith("c/") for t in line) else []
    line += [f"{last}:unroll"] + (["oc:unroll"] if channels > 1 else [])
    return [" ".join(line)]


def direct(r: random.Random, axes: Axes) -> list[str]:
    """Every thread computes a tile of its own."""
    tiles = {a: r.choice([1, 1, 2, 3]) for a in axes.output}
    outer = [f"{a}/{t}:global" if t > 1 else f"{a}:global" for a, t in tiles.items()]
    inner = [f"{a}:unroll" for a, t in tiles.items() if t > 1]
    sums = [a + r.choice(["", "", ":unroll"]) for a in shuffled(r, axes.sums)]
    stages = r.choice([[], ["[x]"], ["[w]"], ["[x]", "[w]"]])
    line = [*shuffled(r, outer), "[y]", *sums, *stages, *shuffled(r, inner)]
    return [" ".join(line), f"launch threads {r.choice([32, 64, 96])}"]


def stationary(r: random.Random, axes: Axes) -> list[str]:
    """The sum outside: the output is visited again and again."""
    space = [f"o{l}" for l in axes.letters]
    taps = [f"k{l}" for l in axes.letters]
    line = [
        "n:block",
        "g:block",
        *(f"{a}:block" for a in space[:-1]),
        "oc:thread",
        *shuffled(r, [*taps, "c"]),
        "[w]",
    ]
    line += [f"{space[-1]}/2", "[y]", f"{space[-1]}:unroll"]
    return [" ".join(line)]
