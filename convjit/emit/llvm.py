"""Kernel to LLVM IR text, for x86 and NVPTX alike. `table` says how an op is written, this walks the kernel.

The text says exactly what is wanted: nothing is left to LLVM's loop passes. A loop is tested at its bottom and carries
its values in phis; constants stand where they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from convjit.emit.form import Form, Written
from convjit.emit.table import TABLE
from convjit.emit.words import entry_name, literal, llvm_type, symbol_name, value_name, vector_literal
from convjit.errors import InternalError
from convjit.kernel.ir import For, If, Kernel, Launch, Local, Op, Operand, Stmt, Type, element, lanes, vector
from convjit.kernel.select import row_of
from convjit.kernel.signature import POINTER, operand_types
from convjit.kernel.types import size
from convjit.machine import Machine

SHARED = "@shared$"
"""The block's shared memory; no kernel can be called so."""
Template = tuple[str, tuple[Type, ...]]


def emit(kernel: Kernel, machine: Machine) -> str:
    """The LLVM IR of one kernel: a module whose one function is named after it."""
    return emit_module((kernel,), machine)


def emit_module(kernels: tuple[Kernel, ...], machine: Machine) -> str:
    """Several kernels as one module."""
    text, _ = emit_lines(kernels, machine, traced=False)
    return text


def emit_lines(
    kernels: tuple[Kernel, ...], machine: Machine, traced: bool = True
) -> tuple[str, tuple[int, ...]]:
    """The module, and the `origin` of what each of its lines was written for; 0 where there is none. Without `traced` the
    module alone, and no origins."""
    declared: dict[str, None] = {}
    written = [_Function(kernel, machine, declared, traced) for kernel in kernels]
    functions = [function.text() for function in written]
    lines = [f"{SHARED} = external addrspace(3) global [0 x i8], align 1024"] if machine.kind == "cuda" else []
    notes = ["!0 = !{}", ""] if machine.kind == "cuda" else []
    text = "\n".join([*lines, *declared, "", *functions, *notes])
    if not traced:
        return text, ()
    head = [0] * (len(lines) + len(declared) + 1)
    return text, (*head, *(origin for function in written for origin in function.by_line()), *(0 for _ in notes))


class _Function:
    """One function being written. `names` maps kernel values to LLVM's names or constants. Where it is `traced`,
    `origins` holds for each item of `lines` the statement that it was written for."""

    def __init__(self, kernel: Kernel, machine: Machine, declared: dict[str, None], traced: bool) -> None:
        self.kernel = kernel
        self.machine = machine
        self.declared = declared
        self.index = kernel.index
        self.lines: list[str] = []
        self.traced = traced
        self.origins: list[int] = []
        self.label = "entry"
        self.branches = 0
        self.names: dict[str, str] = {}
        self.pointers: dict[str, Type] = {}
        self.templates: dict[object, Template] = {}

    def text(self) -> str:
        kernel = self.kernel
        arguments = [self._parameter(p.name, p.type, p.written) for p in kernel.parameters]
        sizes = [f"%{s}" for s in kernel.sizes]
        sizes += [f"%{axis}.{end}" for axis in kernel.threads for end in ("begin", "end")]
        arguments += [f"{self.index} {self._define(name)}" for name in sizes]
        for local in kernel.locals:
            self._local(local)
        self._written_for(0)
        self._body(kernel.body)
        calling, attributes = ("ptx_kernel ", _notes(kernel.launch)) if kernel.launch else ("", " nounwind")
        name = entry_name(kernel.name) if kernel.launch else kernel.name
        head = f"define {calling}void {symbol_name(name)}({', '.join(arguments)}){attributes} {{"
        return "\n".join([head, "entry:", *self.lines, "  ret void", "}", ""])

    def by_line(self) -> Iterator[int]:
        """The origin of every line of the text: of its head and its end 0."""
        yield from (0, 0)
        for text, origin in zip(self.lines, self.origins, strict=True):
            yield from repeat(origin, text.count("\n") + 1)
        yield from (0, 0, 0)

    def _written_for(self, origin: int) -> None:
        """What was written since the last call was written for that statement of the nest."""
        self.origins += repeat(origin, len(self.lines) - len(self.origins))

    def _parameter(self, name: str, type: Type, written: bool) -> str:
        value = f"%{name}"
        self.pointers[value] = type
        return f"{llvm_type(type)} noalias {'' if written else 'readonly '}{self._define(value)}"

    def _local(self, local: Local) -> None:
        value = f"%{local.name}"
        if local.space == "shared":
            self.pointers[value] = "ptr.shared"
            at = f"getelementptr (i8, ptr addrspace(3) {SHARED}, i32 {local.offset})"
            self.names[value] = at if local.offset else SHARED
            return
        self.pointers[value] = "ptr"
        self.lines.append(f"  {self._define(value)} = alloca [{local.bytes} x i8], align 64")

    def _define(self, name: str) -> str:
        text = self.names[name] = value_name(name)
        return text

    def _operand(self, type: Type, operand: Operand) -> str:
        return self.names[operand] if isinstance(operand, str) else literal(type, operand)

    def _body(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            if isinstance(stmt, Op):
                special = SPECIAL.get(stmt.name)
                if special is None or not special(self, stmt):
                    self._op(stmt)
            elif isinstance(stmt, For):
                self._loop(stmt)
            else:
                self._branch(stmt)
            if self.traced:
                self._written_for(stmt.origin)

    def _op(self, op: Op) -> None:
        spaces = tuple([self.pointers[a] for a in op.args if a in self.pointers])
        key = op.name, op.type, op.attributes, spaces
        template = self.templates.get(key)
        if template is None:
            template = self.templates[key] = self._template(op, spaces)
        text, types = template
        names = self.names
        args = [names[a] if isinstance(a, str) else literal(t, a) for a, t in zip(op.args, types)]
        if op.result:
            self.lines.append(text.format(self._define(op.result), *args))
            if op.type[0] == "p":
                self.pointers[op.result] = op.type
        elif text:
            self.lines.append(text.format("", *args))

    def _template(self, op: Op, spaces: tuple[Type, ...]) -> Template:
        """The op's lines with places for names, made once for all ops that are alike."""
        known = iter(spaces)
        types = tuple(next(known, "ptr") if t == POINTER else t for t in operand_types(op, self.machine))
        lines, declares = self._written(op, types)
        self.declared.update(dict.fromkeys(declares))
        return "\n".join(f"  {line}" for line in lines), types

    def _written(self, op: Op, types: tuple[Type, ...]) -> Written:
        writer = TABLE.get(op.name)
        if writer is not None:
            threads = self.kernel.launch.threads if self.kernel.launch else 0
            return writer(Form(op, types, self.machine, threads))
        row = row_of(self.machine, op)
        places = {"out": "{0}", "a": "{1}", "b": "{2}", "acc": "{3}", "t": "{0}$t"}
        return tuple(line.format(**places) for line in row.code), row.declare

    def _loop(self, loop: For) -> None:
        bare, before = value_name(loop.counter)[1:], self.label
        head, done, index = f"{bare}$head", f"{bare}$done", loop.type
        low, high = self._operand(index, loop.low), self._operand(index, loop.high)
        starts = [self._operand(c.type, c.start) for c in loop.carried]
        known = isinstance(loop.low, int) and isinstance(loop.high, int)
        sure = loop.sure or (known and loop.low < loop.high)  # type: ignore[operator]
        if sure:
            self.lines.append(f"  br label %{head}")
        else:
            self.lines.append(f"  %{head}$any = icmp slt {index} {low}, {high}")
            self.lines.append(f"  br i1 %{head}$any, label %{head}, label %{done}")
        phis, self.label = len(self.lines), head
        self.lines.append("")  # the label and the phis, whose ends are not known yet
        self._written_for(loop.origin)
        counter = self._define(loop.counter)
        inside = [self._define_typed(c.name, c.type) for c in loop.carried]
        self._body(loop.body)
        ends = [self._operand(c.type, c.following) for c in loop.carried]
        latch, following = self.label, f"%{head}$next"
        lines = [f"{head}:", f"  {counter} = phi {index} [ {low}, %{before} ], [ {following}, %{latch} ]"]
        lines += [
            f"  {name} = phi {llvm_type(c.type)} [ {start}, %{before} ], [ {end}, %{latch} ]"
            for name, c, start, end in zip(inside, loop.carried, starts, ends)
        ]
        self.lines[phis] = "\n".join(lines)
        self.lines += [
            f"  {following} = add nsw {index} {counter}, {loop.step}",
            f"  %{head}$more = icmp slt {index} {following}, {high}",
            f"  br i1 %{head}$more, label %{head}, label %{done}",
            f"{done}:",
        ]
        self.label = done
        for c, start, end in zip(loop.carried, starts, ends):
            if sure:
                self._alias(c.result, c.type, end)
            else:
                name = self._define_typed(c.result, c.type)
                phi = f"phi {llvm_type(c.type)} [ {start}, %{before} ], [ {end}, %{latch} ]"
                self.lines.append(f"  {name} = {phi}")

    def _branch(self, branch: If) -> None:
        self.branches += 1
        then, end, before = f"if{self.branches}$then", f"if{self.branches}$end", self.label
        self.lines += [
            f"  br i1 {self._operand('i1', branch.condition)}, label %{then}, label %{end}",
            f"{then}:",
        ]
        self.label = then
        self._written_for(branch.origin)
        skipped = [self._operand(m.type, m.skipped) for m in branch.merged]
        self._body(branch.body)
        taken = [self._operand(m.type, m.taken) for m in branch.merged]
        self.lines += [f"  br label %{end}", f"{end}:"]
        for m, yes, no in zip(branch.merged, taken, skipped):
            name = self._define_typed(m.result, m.type)
            self.lines.append(
                f"  {name} = phi {llvm_type(m.type)} [ {yes}, %{self.label} ], [ {no}, %{before} ]"
            )
        self.label = end

    def _define_typed(self, name: str, type: Type) -> str:
        if type[0] == "p":
            self.pointers[name] = type
        return self._define(name)

    def _alias(self, name: str, type: Type, text: str) -> None:
        """The value is another one, or a constant: nothing is written."""
        self.names[name] = text
        if type[0] == "p":
            self.pointers[name] = type

    # ops that are written by more or less than a line of the table; each says whether it did

    def _const(self, op: Op) -> bool:
        values = op.attribute("values")
        if not isinstance(values, tuple):
            raise InternalError(f"const: attribute values must be a list, not {values!r}")
        self._alias(op.result, op.type, vector_literal(op.type, values))
        return True

    def _splat(self, op: Op) -> bool:
        (value,) = op.args
        if isinstance(value, str):
            if lanes(op.type) == 1:
                self._alias(op.result, op.type, self.names[value])
            return lanes(op.type) == 1
        self._alias(op.result, op.type, literal(op.type, value))
        return True

    def _step(self, op: Op) -> bool:
        base, offset = op.args
        pointer, name = self._operand(op.type, base), op.result
        if offset == 0:
            self._alias(name, op.type, pointer)
            return True
        text, wide = self._operand(self.index, offset), self.index
        if op.type == "ptr.global":
            if isinstance(offset, str):
                self.lines.append(f"  {value_name(name)}$w = sext i32 {text} to i64")
                text = f"{value_name(name)}$w"
            wide = "i64"
        self.lines.append(
            f"  {self._define_typed(name, op.type)} = getelementptr i8, {llvm_type(op.type)} {pointer}, {wide} {text}"
        )
        return True

    def _masked(self, op: Op) -> bool:
        """One number under a mask is a branch. Vectors have an intrinsic, which NVPTX cannot select: lane by lane."""
        if lanes(op.type) == 1:
            self._masked_number(op)
            return True
        if self.machine.kind == "cpu":
            return self._only_lane(op)
        self.branches += 1
        base, one = op.result or f"%mask{self.branches}", element(op.type)
        whole: Operand = 0
        for lane in range(lanes(op.type)):
            bit, value, at = (f"{base}$l{lane}{part}" for part in "mvp")
            which = ("lane", lane)
            self._op(
                Op(bit, "extract", "i1", (op.args[-1],), (which, ("from", vector("i1", lanes(op.type)))))
            )
            pointer = op.args[-2]
            self._step(Op(at, "step", self.pointers[str(pointer)], (pointer, lane * size(one))))
            align = ("align", min(int(str(op.attribute("align"))), size(one)))
            if op.result:
                self._masked_number(Op(value, op.name, one, (at, bit), (align,)))
                last = lane == lanes(op.type) - 1
                into = op.result if last else f"{base}$l{lane}"
                self._op(Op(into, "insert", op.type, (whole, value), (which,)))
                whole = into
            else:
                self._op(Op(value, "extract", one, op.args[:1], (which, ("from", op.type))))
                self._masked_number(Op("", op.name, one, (value, at, bit), (align,)))
        return True

    def _only_lane(self, op: Op) -> bool:
        """A mask that is known to hold one lane is an access to one number. LLVM makes one of it, too, but where it has narrowed the
        vector just before, it stores the number as wide as it was (LLVM 22: 4 bytes for a byte)."""
        known = self._operand("i1", op.args[-1]).strip("<>").split(", ")
        if known.count("i1 true") != 1 or len(known) != lanes(op.type):
            return False
        self.branches += 1
        base, one, lane = op.result or f"%mask{self.branches}", element(op.type), known.index("i1 true")
        value, at, pointer = f"{base}$v", f"{base}$p", op.args[-2]
        self._step(Op(at, "step", self.pointers[str(pointer)], (pointer, lane * size(one))))
        align = ("align", min(int(str(op.attribute("align"))), size(one)))
        if op.result:
            self._op(Op(value, "load", one, (at,), (align,)))
            self._op(Op(op.result, "insert", op.type, (0, value), (("lane", lane),)))
        else:
            self._op(Op(value, "extract", one, op.args[:1], (("lane", lane), ("from", op.type))))
            self._op(Op("", "store", one, (value, at), (align,)))
        return True

    def _masked_number(self, op: Op) -> None:
        self.branches += 1
        then, end, before = f"mask{self.branches}$then", f"mask{self.branches}$end", self.label
        condition = self._operand("i1", op.args[-1])
        self.lines += [f"  br i1 {condition}, label %{then}, label %{end}", f"{then}:"]
        inner = f"{op.result}$v" if op.result else ""
        self._op(Op(inner, op.name.removesuffix("_masked"), op.type, op.args[:-1], op.attributes))
        self.lines += [f"  br label %{end}", f"{end}:"]
        if op.result:
            arms = f"[ {self.names.pop(inner)}, %{then} ], [ {literal(op.type, 0)}, %{before} ]"
            self.lines.append(f"  {self._define(op.result)} = phi {llvm_type(op.type)} {arms}")
        self.label = end


def _notes(launch: Launch) -> str:
    """What the kernel promises about its launch. PTX takes `reqntid` or `maxntid`, not both."""
    notes = [f'"nvvm.reqntid"="{launch.threads}"']
    notes += [f'"nvvm.minctasm"="{launch.min_blocks}"'] if launch.min_blocks else []
    notes += [f'"nvvm.cluster_dim"="{launch.cluster},1,1"'] if launch.cluster > 1 else []
    return " nounwind " + " ".join(notes)


SPECIAL = {
    "const": _Function._const,
    "splat": _Function._splat,
    "step": _Function._step,
    "load_masked": _Function._masked,
    "store_masked": _Function._masked,
}
