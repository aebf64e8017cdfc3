"""How each op is written: a table from the op's name to its lines of LLVM IR.

A line is a format string: {0} is the result, {1} {2} … are the operands, {0}$… names what stands in between (no
kernel value has a `$` in its name).
"""

from __future__ import annotations

from convjit.emit import arithmetic, memory, vectors
from convjit.emit.form import Writer

TABLE: dict[str, Writer] = {
    "add": arithmetic.binary("add", "fadd"),
    "sub": arithmetic.binary("sub", "fsub"),
    "mul": arithmetic.binary("mul", "fmul"),
    "div": arithmetic.binary("", "fdiv"),
    "neg": arithmetic.negate,
    "abs": arithmetic.intrinsic("fabs", "abs", ", i1 false"),
    "sqrt": arithmetic.intrinsic("sqrt"),
    "max": arithmetic.extreme(1, 2),
    "min": arithmetic.extreme(2, 1),
    "rint": arithmetic.round_,
    "udiv": arithmetic.binary("udiv"),
    "urem": arithmetic.binary("urem"),
    "and": arithmetic.binary("and"),
    "or": arithmetic.binary("or"),
    "xor": arithmetic.binary("xor"),
    "shl": arithmetic.binary("shl"),
    "lshr": arithmetic.binary("lshr"),
    "ashr": arithmetic.binary("ashr"),
    "lt": arithmetic.compare("slt", "olt"),
    "ge": arithmetic.compare("sge", "oge"),
    "eq": arithmetic.compare("eq", "oeq"),
    "ult": arithmetic.compare("ult", ""),
    "select": arithmetic.select,
    "convert": arithmetic.convert,
    "bitcast": vectors.bitcast,
    "splat": vectors.splat,
    "insert": vectors.insert,
    "extract": vectors.extract,
    "shuffle": vectors.shuffle,
    "pack": vectors.pack,
    "lanes_inside": vectors.lanes_inside,
    "load": memory.load,
    "store": memory.store,
    "load_masked": memory.load_masked,
    "store_masked": memory.store_masked,
    "prefetch": memory.prefetch,
    "special": memory.special,
    "barrier": memory.barrier,
    "cp_async": memory.cp_async,
    "cp_async_fill": memory.cp_async,
    "cp_async_commit": memory.cp_async_commit,
    "cp_async_wait": memory.cp_async_wait,
}
