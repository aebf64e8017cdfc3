"""What must hold for one op by itself, before its operands are looked at: its type, its attributes, the target."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from convjit.kernel.ir import Op, element, lanes
from convjit.kernel.ops import OPS
from convjit.kernel.select import row_named
from convjit.kernel.types import COMPUTED, FLOATS, INTEGERS, POINTERS, bits, known, size
from convjit.machine import Machine, Row
from convjit.machine.intrinsics import INTRINSICS

OPTIONAL: dict[str, tuple[str, ...]] = {
    "load": ("constant",),
    "cp_async": ("align",),
    "cp_async_fill": ("align",),
}
NEEDED_SM: dict[str, int] = {
    "cp_async": 80,
    "cp_async_fill": 80,
    "cp_async_commit": 80,
    "cp_async_wait": 80,
}
ELEMENTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("add", "sub", "mul", "neg", "max", "min"), INTEGERS | COMPUTED),
    "abs": frozenset({"i8", "i16", "i32", "i64"}) | COMPUTED,
    **dict.fromkeys(("div", "sqrt", "rint"), COMPUTED),
    **dict.fromkeys(("udiv", "urem", "shl", "lshr"), INTEGERS),
    "ashr": frozenset({"i8", "i16", "i32", "i64"}),
    **dict.fromkeys(("and", "or", "xor"), INTEGERS | {"i1"}),
    **dict.fromkeys(("lt", "ge", "eq", "ult", "lanes_inside"), frozenset({"i1"})),
    **dict.fromkeys(("convert", "bitcast", "shuffle", "load", "store"), INTEGERS | FLOATS),
    **dict.fromkeys(("load_masked", "store_masked"), INTEGERS | FLOATS),
    **dict.fromkeys(("const", "splat", "insert", "extract"), INTEGERS | FLOATS | {"i1"}),
    **dict.fromkeys(("special", "cp_async_fill"), frozenset({"i32"})),
    "pack": frozenset({"i16", "i8", "u8"}),
    "select": INTEGERS | FLOATS | {"i1"} | set(POINTERS),
    "step": frozenset(POINTERS),
}
"""What one lane of an op's type may be; ops that are not listed have no type."""


def check_op(op: Op, machine: Machine) -> str:
    """What is wrong with the op itself; "" where nothing is."""
    signature = OPS.get(op.name)
    if signature is None:
        row = row_named(machine, op.name, op.type)
        return _row(row, machine) if row else f"{machine.name} has no instruction of that name and type"
    if machine.kind not in signature.targets:
        return f"this op is not for {machine.kind}"
    if NEEDED_SM.get(op.name, 0) > machine.sm and machine.kind == "cuda":
        return f"it needs sm_{NEEDED_SM[op.name]}, the machine is {machine.name}"
    wrong = _type(op, machine) or _attributes(op, signature.attributes)
    rule = RULES.get(op.name)
    return wrong or (rule(op) if rule else "")


def _type(op: Op, machine: Machine) -> str:
    allowed = ELEMENTS.get(op.name)
    if allowed is None:
        return f"it has no type, not '{op.type}'" if op.type else ""
    if not known(op.type):
        return f"there is no type '{op.type}'"
    if element(op.type) not in allowed:
        return f"not for type {op.type}"
    if wrong := _vector(op.type, machine):
        return wrong
    if op.name == "pack" and 8 * size(op.type) > machine.vector_bits:
        return f"an instruction of {machine.name} packs {machine.vector_bits} bits at most"
    if op.name == "convert" and "f16" in (element(op.type), element(str(op.attribute("from", "f32")))):
        return "" if machine.kind == "cuda" or "f16c" in machine.features else "converting f16 needs f16c"
    return ""


def _attributes(op: Op, required: tuple[str, ...]) -> str:
    names = [name for name, _ in op.attributes]
    missing = [name for name in required if name not in names]
    extra = [name for name in names if name not in required and name not in OPTIONAL.get(op.name, ())]
    if missing or extra or len(set(names)) < len(names):
        return f"its attributes are ({' '.join(required)}), given are ({' '.join(names)})"
    if "align" in names:
        align = op.attribute("align")
        if not isinstance(align, int) or align < 1 or align & (align - 1):
            return f"align must be a power of two, not {align!r}"
    return ""


def _const(op: Op) -> str:
    values = op.attribute("values")
    if not isinstance(values, tuple) or len(values) != lanes(op.type):
        return f"it takes a number for each of {lanes(op.type)} lanes"
    return next((w for v in values if (w := check_number(v, element(op.type)))), "")


def check_number(value: float, type: str) -> str:
    """What is wrong with a number as a value of a scalar type; "" where nothing is."""
    if type in FLOATS:
        return ""
    if type in POINTERS:
        return f"{value!r} is no {type}"
    if not isinstance(value, int):
        return f"{value!r} is not a whole number"
    width = bits(type)
    low = 0 if type[0] == "u" or width == 1 else -(1 << width - 1)
    high = 1 << (width if type[0] == "u" or width == 1 else width - 1)
    return "" if low <= value < high else f"{value} does not fit into {type}"


def _compare(op: Op) -> str:
    other = str(op.attribute("type"))
    allowed = INTEGERS if op.name == "ult" else INTEGERS | COMPUTED
    if not known(other) or element(other) not in allowed:
        return f"it does not compare {other}"
    return _same_lanes(op, other)


def _same_lanes(op: Op, other: str) -> str:
    if lanes(other) != lanes(op.type):
        return f"{lanes(other)} lanes of {other} cannot give {op.type}"
    return ""


CONVERTED = INTEGERS | COMPUTED


def _convert(op: Op) -> str:
    source = str(op.attribute("from"))
    if not known(source):
        return f"there is no type '{source}'"
    pair = element(source), element(op.type)
    half = pair in (("f16", "f32"), ("f32", "f16"))
    if not half and (pair[0] not in CONVERTED | {"i1"} or pair[1] not in CONVERTED):
        return f"there is no conversion from {source}"
    return _same_lanes(op, source)


def _bitcast(op: Op) -> str:
    source = str(op.attribute("from"))
    if not known(source) or element(source) not in INTEGERS | FLOATS:
        return f"not from type {source}"
    return "" if size(source) == size(op.type) else f"{source} has {size(source)} bytes"


def _lane(op: Op, whole: str) -> str:
    lane = op.attribute("lane")
    if not known(whole) or lanes(whole) < 2 or not isinstance(lane, int) or not 0 <= lane < lanes(whole):
        return f"there is no lane {lane} in {whole}"
    return ""


def _insert(op: Op) -> str:
    return _lane(op, op.type)


def _extract(op: Op) -> str:
    source = str(op.attribute("from"))
    return _lane(op, source) or ("" if element(source) == op.type else f"a lane of {source} is no {op.type}")


def _shuffle(op: Op) -> str:
    source, order = str(op.attribute("from")), op.attribute("order")
    if not known(source) or element(source) != element(op.type) or lanes(source) < 2 or lanes(op.type) < 2:
        return f"lanes of {source} cannot give {op.type}"
    if not isinstance(order, tuple) or len(order) != lanes(op.type):
        return f"order must name {lanes(op.type)} lanes"
    if any(not isinstance(at, int) or not 0 <= at < 2 * lanes(source) for at in order):
        return f"the operands' lanes are numbered 0 to {2 * lanes(source) - 1}"
    return ""


def _pack(op: Op) -> str:
    source, wanted = str(op.attribute("from")), "i32" if element(op.type) == "i16" else "i16"
    if not known(source) or element(source) != wanted or size(source) != size(op.type) or size(source) not in (16, 32, 64):
        return f"lanes of {source} cannot give {op.type}"
    return ""


def _lanes_inside(op: Op) -> str:
    offsets = op.attribute("offsets")
    if not isinstance(offsets, tuple) or len(offsets) != lanes(op.type):
        return f"it takes an offset for each of {lanes(op.type)} lanes"
    return next((w for v in offsets if (w := check_number(v, "i32"))), "")


def _load(op: Op) -> str:
    return "" if op.attribute("constant", 0) in (0, 1) else "constant is 0 or 1"


def _special(op: Op) -> str:
    register = op.attribute("register")
    return "" if register in ("tid", "ctaid") else f"there is no register {register}"


def _cp_async(op: Op) -> str:
    count = op.attribute("bytes")
    if count not in (4, 8, 16) or not isinstance(count, int):
        return f"it copies 4, 8 or 16 bytes, not {count!r}"
    align = op.attribute("align", count)
    return "" if isinstance(align, int) and align >= count else f"{count} bytes must be aligned to {count}"


def _wait(op: Op) -> str:
    groups = op.attribute("groups")
    return (
        "" if isinstance(groups, int) and 0 <= groups < 8 else f"it waits for 0 to 7 groups, not {groups!r}"
    )


RULES: dict[str, Callable[[Op], str]] = {
    "const": _const,
    **dict.fromkeys(("lt", "ge", "eq", "ult"), _compare),
    "convert": _convert,
    "bitcast": _bitcast,
    "insert": _insert,
    "extract": _extract,
    "shuffle": _shuffle,
    "pack": _pack,
    "lanes_inside": _lanes_inside,
    "load": _load,
    "special": _special,
    "cp_async": _cp_async,
    "cp_async_fill": _cp_async,
    "cp_async_wait": _wait,
}


@lru_cache(maxsize=1024)
def _row(row: Row, machine: Machine) -> str:
    """Whether the machine has what the row and every function it calls need."""
    if row.feature and row.feature not in machine.features:
        return f"it needs {row.feature}, {machine.name} has {machine.llvm_features or 'no features'}"
    if row.sm > machine.sm:
        return f"it needs sm_{row.sm}, the machine is {machine.name}"
    for name in re.findall(r"@([\w.]+)", " ".join((*row.code, *row.declare))):
        need = INTRINSICS.get(name)
        if need is None:
            return f"'{name}' is not among the functions that a row may call"
        if machine.kind == "cpu" and not need.met(machine.features):
            return f"'{name}' needs {need.feature}"
        if need.sm > machine.sm:
            return f"'{name}' needs sm_{need.sm}, the machine is {machine.name}"
    return _vector(row.operands[2], machine)


def _vector(type: str, machine: Machine) -> str:
    """Why the machine does not compute with that type; "" where it does."""
    if lanes(type) > 1 and not machine.vector_bits:
        return f"{machine.name} has no vectors"
    return ""
