"""Task functions, as LLVM IR text: each step behind one signature, so that the entry code can call any kernel.

A step's kernel is `void symbol(ptr arrays..., i64 sizes..., i64 begin, i64 end of each thread axis...)`; its task is
`void symbol.task(ptr slots, ptr sizes, ptr range)`, which loads the arguments from three tables.
"""

from __future__ import annotations

from convjit.kernel.program import Program, Step


def with_tasks(text: str, program: Program) -> str:
    """A kernel module with the task function of every step behind it."""
    return text + "".join(f"\n{_task(step, program)}" for step in program.steps)


def task_symbols(program: Program) -> tuple[str, ...]:
    """The task functions' names, one for each step."""
    return tuple(f"{step.symbol}.task" for step in program.steps)


def slot_names(program: Program) -> tuple[str, ...]:
    """The arrays in the order of the table of addresses: inputs, output, temporaries."""
    return tuple(array.name for array in (*program.inputs, program.output, *program.temporaries))


def _task(step: Step, program: Program) -> str:
    slots = slot_names(program)
    sizes = [size.name for size in program.sizes]
    loads = [("ptr", "%slots", slots.index(name)) for name in step.arrays]
    loads += [("i64", "%sizes", sizes.index(name)) for name in step.sizes]
    loads += [("i64", "%range", i) for i in range(2 * len(step.threads))]
    lines = []
    for n, (kind, table, index) in enumerate(loads):
        lines.append(f"  %p{n} = getelementptr {kind}, ptr {table}, i64 {index}")
        lines.append(f"  %a{n} = load {kind}, ptr %p{n}")
    arguments = ", ".join(f"{kind} %a{n}" for n, (kind, _, _) in enumerate(loads))
    body = "\n".join(lines)
    return (
        f'define void @"{step.symbol}.task"(ptr %slots, ptr %sizes, ptr %range) {{\n{body}\n'
        f'  call void @"{step.symbol}"({arguments})\n  ret void\n}}\n'
    )
