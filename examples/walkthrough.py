"""One small convolution through every stage, with a sentence for each.

    python examples/walkthrough.py [TARGET]
"""

from __future__ import annotations

import re
import sys

from convjit import api
from convjit.pipeline import stage_texts

TEXT = """\
conv small {
    input  x : f32[N=1, H=6, W=10, C=8]
    weight w : f32[KH=3, KW=3, OC=16, IC=8]
    output y : f32[N, OH, OW, OC]
    pad same
    then relu
}
"""

SENTENCES = {
    "ast": "The text was parsed: a tree whose nodes are named after the grammar's rules, printed back as text.",
    "spec": "Every name is resolved, every size solved, every default filled in; the output's size has been computed.",
    "schedule": "Which loops, in which order, run by whom, and what stays in registers. The same text may be written into "
    "the program as its dataflow.",
    "nest": "The loops themselves. The padding has become borders that are peeled off: no multiplication by zero is left, "
    "and no padded copy is made. The first nest packs the weights; it runs once, when they are bound.",
    "kernel": "Nearly machine code: vectors, addresses, and accumulators that loops carry along. The instruction that "
    "multiplies and adds was chosen from the machine's table.",
    "llvm": "The kernel as LLVM IR text, which says exactly what is wanted: no LLVM pass changes its loops.",
    "llvm_opt": "What LLVM's passes made of it.",
    "asm": "What LLVM's code generator made of it: the innermost loop is multiply-adds on registers.",
    "ptx": "The assembly of the GPU's virtual machine, which the driver compiles for the GPU that is there.",
    "sass": "What the GPU executes.",
}

BEFORE, AFTER = 12, 36
"""Lines shown of a long text around its first multiply-add."""


MULTIPLY_ADD = re.compile(r"= fma |call .*@llvm\.fma\.|= fmul|\t(vfmadd|mulss|fma\.)|FFMA")


def excerpt(text: str) -> str:
    """A short text, or the part of a long one where its innermost loop begins."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= BEFORE + AFTER:
        return "\n".join(lines)
    first = next((i for i, line in enumerate(lines) if MULTIPLY_ADD.search(line)), 0)
    start, end = max(0, first - BEFORE), min(len(lines), first + AFTER)
    return "\n".join([f"… {start} lines", *lines[start:end], f"… {len(lines) - end} lines"])


def main(target: str) -> None:
    """Print the text of every stage for that target."""
    print("The program.\n")
    print(TEXT)
    spec, syntax = api.read(TEXT)["small"]
    for stage, text in stage_texts(api.compilation(spec, syntax, target)).items():
        print(f"--- {stage} ---\n{SENTENCES[stage]}\n")
        print(excerpt(text()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu:avx2")
