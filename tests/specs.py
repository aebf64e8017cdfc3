"""Random programs that are right, over the whole language, as text and as specs."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import strategies as st

from convjit.spec import words
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.geometry import out_size, transposed_out_size
from convjit.spec.layout import SPATIAL, kernel_axes, output_axes

SIZE = 9  # greatest input size


def random_spec(r: random.Random, plain: bool = False) -> ConvSpec:
    """A spec with any clauses of the language; `plain` keeps to floats and leaves out how to compute."""
    return next(iter(from_text(random_program(r, plain)).values()))


def random_program(r: random.Random, plain: bool = False) -> str:
    """The text of a correct program with one convolution."""
    while True:
        draw = Draw(r, plain)
        if draw.fits:
            return draw.text()


def specs(plain: bool = False) -> st.SearchStrategy[ConvSpec]:
    """Hypothesis draws the seed of `random_spec`."""
    return st.integers(0, 2**32).map(lambda seed: random_spec(random.Random(seed), plain))


def programs() -> st.SearchStrategy[str]:
    """Hypothesis draws the seed of `random_program`."""
    return st.integers(0, 2**32).map(lambda seed: random_program(random.Random(seed)))


class Draw:
    """One draw: first the shape, then the clauses."""

    def __init__(self, r: random.Random, plain: bool) -> None:
        self.r, self.plain = r, plain
        self.spatial = r.choice([SPATIAL[0], SPATIAL[1], SPATIAL[1], SPATIAL[2]])
        self.transposed = not plain and r.random() < 0.1
        rank = len(self.spatial)
        self.stride, self.dilation = self.several([1, 1, 2, 3]), self.several([1, 1, 1, 2])
        self.pad = [(r.randint(0, 2), r.randint(0, 2)) for _ in range(rank)]
        kernel, size = self.several([1, 2, 3]), [r.randint(1, SIZE) for _ in range(rank)]
        formula = transposed_out_size if self.transposed else out_size
        out = [formula(*a) for a in zip(size, kernel, self.stride, self.dilation, self.pad, strict=True)]
        self.fits = min(out) >= 1
        self.groups = r.choice([1, 1, 1, 2, 4])
        ic, oc = r.randint(1, 4), r.randint(1, 5) * self.groups
        self.sizes = {"N": r.randint(1, 3), "C": ic * self.groups, "OC": oc, "IC": ic}
        for axes, values in ((self.spatial, size), (kernel_axes(self.spatial), kernel), (output_axes(self.spatial), out)):
            self.sizes |= dict(zip(axes, values, strict=True))
        self.open = {axis for axis in ("N", *self.spatial) if r.random() < 0.1}
        self.kind = r.choice(["float", "float", "integer", "quantised"]) if not plain else "float"

    def several(self, choices: list[int]) -> list[int]:
        return [self.r.choice(choices) for _ in self.spatial]

    def text(self) -> str:
        lines = {"float": self.floats, "integer": self.integers, "quantised": self.quantised}[self.kind]()
        lines += self.window()
        self.r.shuffle(lines)
        head = "conv c transposed" if self.transposed else f"conv {self.r.choice(['a', 'res2a', 'x_1'])}"
        body = "\n".join(lines) if self.r.random() < 0.8 else "; ".join(lines)
        return f"{head} {{\n{body}\n}}\n"

    # --- tensors

    def tensor(self, role: str, name: str, dtype: str, axes: tuple[str, ...], extra: str = "", promise: str = "") -> str:
        order = self.r.sample(axes, len(axes))
        sized = ", ".join(axis + self.size(axis, role) for axis in order)
        return f"{role} {name} : {dtype}{promise}[{sized}]{extra}"

    def size(self, axis: str, role: str) -> str:
        if axis in self.open:
            return "=?" if role == "input" else self.r.choice(["", "=?"])
        if axis[0] == "O" and axis[1:] in self.open:
            return ""
        needed = role == "input" or axis[0] == "K" or axis == "OC" and role == "weight"
        return f"={self.number(self.sizes[axis])}" if needed or self.r.random() < 0.3 else ""

    def number(self, n: int) -> str:
        """A whole number, sometimes as an expression."""
        return self.r.choice([f"{n}", f"{n}", f"{n}", f"{2 * n}/2", f"({n + 1} - 1)", f"{n}*2^0", f"--{n}"])

    def shared(self, x: str, w: str, y: str, xs: str = "", ws: str = "", promise: str = "") -> list[str]:
        """Input, weight and output."""
        outs = ("N", "OC", *output_axes(self.spatial))
        return [
            self.tensor("input", "x", x, ("N", "C", *self.spatial), xs, promise),
            self.tensor("weight", "w", w, ("OC", "IC", *kernel_axes(self.spatial)), ws),
            *([self.tensor("output", "y", y.split()[0], outs, " " + " ".join(y.split()[1:]))] if y else []),
        ]

    def floats(self) -> list[str]:
        r = self.r
        dtype = r.choice(["f32", "f64"] if self.plain else ["f32", "f32", "f64", "f16", "bf16", "f8e4m3", "f8e5m2"])
        wide = "f64" if dtype == "f64" else "f32"
        lines = self.shared(dtype, dtype, r.choice(["", dtype]), ws=r.choice(["", "", "", "" if self.plain else " sparse"]))
        lines += [f"bias b : {wide if lines[2:] == [] and dtype == wide else dtype}[OC]"] if r.random() < 0.5 else []
        steps: list[Callable[[], list[str]]] = [
            lambda: [f"then {r.choice(['relu', 'relu6', 'sigmoid', 'tanh', 'silu', 'gelu', 'hardswish'])}"],
            lambda: [f"then clip {r.choice(['-1.5', '0', '(1/4)'])} {r.choice(['1', '2^0'.join('()'), '6'])}"],
            lambda: [f"then leaky_relu {r.choice(['0.1', '-1e-2'])}"],
            lambda: [self.residual("r", dtype), f"then {r.choice(['add', 'mul'])} r"],
            lambda: [f"param s : f32[OC]{'' if self.plain else self.held('0.5', '-2', '(1/3)')}", "then scale s per OC"],
        ]
        for step in r.sample(steps, r.choice([0, 0, 1, 2])):
            lines += step()
        return lines + ([] if self.plain else self.options(dtype))

    def residual(self, name: str, dtype: str) -> str:
        return self.tensor("residual", name, dtype, ("N", "OC", *output_axes(self.spatial)))

    def integers(self) -> list[str]:
        r = self.r
        x, w = r.choice(sorted(words.INTEGER_PAIRS))
        promise = r.choice(["", " in 0..1 "]) if x[0] == "u" else r.choice(["", " in -2..(1) "])
        y = r.choice(["", "i32", "i64"])
        lines = self.shared(x, w, y, r.choice(["", " zero 1"]), r.choice(["", " zero -1" if w[0] == "i" else ""]), promise)
        own = y or ("i64" if x in ("i16", "i32") else "i32")
        lines += [f"bias b : {own}[OC]"] if r.random() < 0.4 else []
        return lines + r.choice([[], ["then relu"], ["then clip -3 99"], [self.residual("r", own), "then add r"]])

    def quantised(self) -> list[str]:
        r = self.r
        x, w = r.choice(["u8", "i8"]), r.choice(["u8", "i8"])
        per = r.random() < 0.5
        lines = self.shared(
            x, w, r.choice(["u8 scale 0.1 zero 3", "i8 scale 2^-4", "f32"]), " scale 0.02 zero 12",
            " scale ws per OC zero wz per OC" if per else " scale 1/64",
        )  # fmt: skip
        lines += [f"param ws : f32[OC]{self.held('0.01', '2^-6')}", f"param wz : {w}[OC]{self.held('0', '12')}"] if per else []
        profile = r.choice(words.PROFILES) if "f32[" not in lines[2] else ""
        lines += [f"requantize {profile}"] if profile else []
        real = profile not in words.INTEGER_PROFILES  # those have no real numbers that something could be added to
        lines += [f"bias b : {r.choice(['i32', 'f32'] if real else ['i32'])}[OC]"] if r.random() < 0.5 else []
        if real and r.random() < 0.3:
            lines += [self.residual("r", "i8") + " scale 0.5 zero -3", "then add r"]
        return lines

    def held(self, *numbers: str) -> str:
        """The numbers of a vector, or none."""
        several = ", ".join(self.r.choice(numbers) for _ in range(self.sizes["OC"]))
        return self.r.choice(["", f" = {self.r.choice(numbers)}", f" = ({several})"])

    # --- clauses

    def window(self) -> list[str]:
        lines = [f"groups {self.groups}"] if self.groups > 1 else []
        for word, values in (("stride", self.stride), ("dilation", self.dilation)):
            if set(values) != {1}:
                lines.append(f"{word} {values[0]}" if len(set(values)) == 1 else f"{word} ({', '.join(map(str, values))})")
        pairs = ", ".join(f"({low}, {high})" for low, high in self.pad)
        return [*lines, f"pad ({pairs})"]

    def options(self, dtype: str) -> list[str]:
        r = self.r
        lines = [f"dataflow {r.choice(words.DATAFLOWS)}"] if r.random() < 0.4 else []
        if not lines and r.random() < 0.4:
            lines.append(f"dataflow {{\n{random_schedule(r)}\n}}")
        lines += [r.choice(["algorithm direct", "algorithm im2col", "error 1e-5"])] if r.random() < 0.3 else []
        lines += [r.choice(["target cpu:avx2", "target cuda", "threads 2"])] if r.random() < 0.3 else []
        if dtype == "f32" and r.random() < 0.4:
            rounding = r.choice(["", *(f" round {word}" for word in words.ROUNDINGS)])
            factors = r.choice(["auto", "x 2^7, w 2^7*500", "w 1.5, x 3", "x 3, w ws per OC"])
            lines += [f"param ws : f32[OC]{self.held('0.5', '2^7')}"] if "per" in factors else []
            lines.append(f"compute i16 scale {factors}{rounding}" if "per" in factors or r.random() < 0.5 else "compute tf32")
        return lines


def random_schedule(r: random.Random) -> str:
    """Lines of a schedule that parse; whether they make sense is another question."""
    loops = ["oc/32", "oh:thread", "ow/14", "kh", "c", "{oh+kh}", "{oh+kh}/2:unroll", "ow:unroll", "oc/16:simd", "g"]
    stages = [
        "[y]", "[x: scratch | h w c/16 c:simd]", "[x: shared ring 4 swizzle 128 by cp.async]",
        "[w: L1 pad 8 as i16 | oc c]", "[x: registers by loads]",
    ]  # fmt: skip
    others = [
        "pack w: oc/32 kh kw c oc", "fuse p = n.oh.ow", "prefetch w c 16", "launch persistent 132 turns",
        "launch cluster 8", "launch threads 128",
    ]  # fmt: skip
    line = " ".join(r.choice([*loops, *stages]) for _ in range(r.randint(1, 8)))
    return "\n".join(r.sample([line, *r.sample(others, r.randint(0, 3))], 1) + [line])
