"""Reading back what `str` of a kernel prints."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args

from convjit.kernel.ir import Carried, For, If, Kernel, Launch, Local, Merged, Op, Parameter, Stmt

GRAMMAR = Path(__file__).parents[2] / "grammars" / "kernel.lark"


def parse(text: str) -> Kernel:
    """The kernel that prints so. Raises lark's UnexpectedInput where the text is no kernel."""
    return cast(Kernel, _parser().parse(text.strip() + "\n"))


@v_args(inline=True)
class Build(Transformer[Token, Kernel]):
    """One method for a rule or a token of the grammar, in its order."""

    WORD = TARGET = VALUE = WRITTEN = SURE = str
    INT = int
    FLOAT = float

    def start(self, name: str, machine: str, *parts: Any) -> Kernel:
        def of(*kinds: type) -> tuple[Any, ...]:
            return tuple(p for p in parts if isinstance(p, kinds))

        named = [p for p in parts if isinstance(p, list)]
        launches = of(Launch)
        return Kernel(
            name,
            machine,
            of(Parameter),
            of(Op, For, If),
            of(Local),
            tuple(value for key, value in named if key == "size"),
            tuple(value for key, value in named if key == "thread"),
            launches[0] if launches else None,
        )

    def parameter(self, name: str, dtype: str, *rest: Any) -> Parameter:
        spaces = [word[0] for word in rest if isinstance(word, tuple)]
        return Parameter(name, dtype, "written" in rest, spaces[0] if spaces else "")

    def space(self, word: str) -> tuple[str]:
        return (word,)

    def local(self, name: str, size: int, place: tuple[str, int] = ("", 0)) -> Local:
        return Local(name, size, *place)

    def place(self, *words: Any) -> tuple[str, int]:
        return (words[0], words[1]) if len(words) == 2 else ("", words[0])

    def size(self, name: str) -> Any:
        return ["size", name]

    def thread(self, name: str) -> Any:
        return ["thread", name]

    def launch(self, blocks: tuple[int | str, ...], *numbers: int) -> Launch:
        return Launch(blocks, *numbers)

    def blocks(self, *items: int | str) -> tuple[int | str, ...]:
        return items

    def loop(self, counter: str, type: str, low: Any, high: Any, step: int, *rest: Any) -> For:
        sure = rest[:1] == ("sure",)
        parts = rest[1:] if sure else rest
        carried = tuple(p for p in parts if isinstance(p, Carried))
        return For(counter, type, low, high, step, carried, parts[len(carried) :], sure)

    def carry(self, name: str, type: str, start: Any, following: Any, result: str) -> Carried:
        return Carried(name, type, start, following, result)

    def branch(self, condition: str, *parts: Any) -> If:
        merged = tuple(p for p in parts if isinstance(p, Merged))
        body: tuple[Stmt, ...] = parts[: len(parts) - len(merged)]
        return If(condition, body, merged)

    def merge(self, result: str, type: str, taken: Any, skipped: Any) -> Merged:
        return Merged(result, type, taken, skipped)

    def op(self, *parts: Any) -> Op:
        found: dict[str, Any] = dict(p for p in parts if isinstance(p, tuple))
        name = next(p for p in parts if isinstance(p, str))
        args, attributes = found.get("args", ()), found.get("attributes", ())
        return Op(found.get("result", ""), name, found.get("type", ""), args, attributes)

    def result(self, name: str) -> tuple[str, str]:
        return "result", name

    def type(self, name: str) -> tuple[str, str]:
        return "type", name

    def operands(self, *args: Any) -> tuple[str, tuple[Any, ...]]:
        return "args", args

    def attributes(self, *items: Any) -> tuple[str, tuple[Any, ...]]:
        return "attributes", items

    def attribute(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value

    def list(self, *numbers: float) -> tuple[float, ...]:
        return numbers


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR.read_text(), parser="lalr", transformer=Build())
