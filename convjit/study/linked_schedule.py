"""The schedule's text in pieces, each of which knows what it is; and the program's, where the user wrote the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convjit.dsl import ast
from convjit.schedule.schedule import Item, Level, Pack, Phase, Prefetch, Schedule
from convjit.source import Span
from convjit.study.linked import Line, Piece
from convjit.study.linked_names import PRODUCT, RESULT, Key, label, level_keys

CHIPS = ((PRODUCT, "multiply-add"), (RESULT, "results and what follows the sum"))


class Known:
    """Things by key, in the order in which they were met, and where the program's text has them."""

    def __init__(self) -> None:
        self.keys: dict[Key, int] = {}
        self.labels: list[str] = []
        self.places: list[tuple[Span, tuple[int, ...]]] = []

    def of(self, key: Key, name: str, span: Span | None = None) -> tuple[int]:
        """The index of a thing, made when it is first asked for."""
        if key not in self.keys:
            self.keys[key] = len(self.labels)
            self.labels.append(name)
        found = (self.keys[key],)
        if span is not None:
            self.places.append((span, found))
        return found


def schedule_lines(schedule: Schedule, known: Known) -> tuple[Line, ...]:
    """The lines of `str(schedule)`, in pieces."""
    lines: list[Line] = []
    for number, phase in enumerate(schedule.phases):
        lines.append((Piece(f"dataflow {phase.name} {{" if phase.name else "dataflow {"),))
        lines += [(Piece("    "), *line) for line in _phase(phase, number, known)]
        lines.append((Piece("}"),))
    for key, name in CHIPS:
        known.of(key, name)
    return tuple(lines)


def program_lines(syntax: ast.Conv | None, text: str, known: Known, dataflow: Span | None) -> tuple[Line, ...]:
    """The lines of the block as the user wrote it (`text` where there is no syntax): what is a schedule's loop or stage
    there is linked, the name of a dataflow with all that it stands for, a step after the sum with the store of results."""
    span = syntax.span if syntax else None
    if syntax is None or span is None:
        return tuple((Piece(line),) for line in text.split("\n"))
    everything = tuple(i for i, name in enumerate(known.labels) if name not in dict(CHIPS).values())
    places = [(dataflow.first_word if "{" in dataflow.text else dataflow, everything)] if dataflow else []
    places += known.places
    result = (known.keys[RESULT],)
    places += [(c.span, result) for c in syntax.clauses if isinstance(c, (ast.Then, ast.Requantize)) and c.span]
    start = span.source.text.rfind("\n", 0, span.start) + 1
    owner: list[tuple[int, ...]] = [()] * (span.end - start)
    for place, things in sorted(places, key=lambda p: p[0].start - p[0].end):  # long ones first, what is in them over them
        if place.source == span.source and start <= place.start and place.end <= span.end:
            owner[place.start - start : place.end - start] = [things] * (place.end - place.start)
    return _cut(span.source.text[start : span.end], owner)


def _cut(text: str, owner: Sequence[tuple[int, ...]]) -> tuple[Line, ...]:
    """Lines of pieces of one owner each."""
    lines: list[list[Piece]] = [[]]
    for char, things in zip(text, owner, strict=True):
        if char == "\n":
            lines.append([])
        elif lines[-1] and lines[-1][-1].things == things:
            lines[-1][-1] = Piece(lines[-1][-1].text + char, 0, things)
        else:
            lines[-1].append(Piece(char, 0, things))
    return tuple(tuple(line) for line in lines)


def _phase(phase: Phase, number: int, known: Known) -> Iterable[Line]:
    for i, fuse in enumerate(phase.fuses):
        yield (Piece(str(fuse), 0, known.of((number, "fuse", i), label(fuse), fuse.span)),)
    if phase.items:
        keys = list(level_keys(phase.items, (number,)))
        yield _spaced([_item(i, k, known) for i, k in zip(phase.items, keys, strict=True)])
    for i, pack in enumerate(phase.packs):
        yield _pack(pack, (number, "pack", i), known)
    for i, ahead in enumerate(phase.prefetches):
        yield _ahead(ahead, (number, "prefetch", i), known)
    if phase.launch:
        yield (Piece("launch " + " ".join(f"{w} {n}" if n else w for w, n in phase.launch)),)


def _spaced(parts: Sequence[Line]) -> Line:
    """Parts with a space between them."""
    return tuple(piece for i, part in enumerate(parts) for piece in ((Piece(" "),) * bool(i) + part))


def _item(item: Item, key: Key, known: Known) -> Line:
    things = known.of(key, label(item), item.span)
    if isinstance(item, Level) or not item.copy:
        return (Piece(str(item), 0, things),)
    copy = _levels(item.copy, key, known, label(item))
    text = str(item)
    before = text[: len(text) - 1 - sum(len(p.text) for p in copy)]
    return (Piece(before, 0, things), *copy, Piece("]", 0, things))


def _levels(levels: tuple[Level, ...], key: Key, known: Known, whole: str) -> Line:
    keys = level_keys(levels, key)
    pairs = zip(levels, keys, strict=True)
    return _spaced([(Piece(str(l), 0, known.of(k, f"{label(l)} of {whole}", l.span)),) for l, k in pairs])


def _pack(pack: Pack, key: Key, known: Known) -> Line:
    things = known.of(key, label(pack), pack.span)
    end = f" as {pack.as_type}" if pack.as_type else ""
    return (Piece(f"pack {pack.tensor}:", 0, things), Piece(" "), *_levels(pack.parts, key, known, label(pack)), Piece(end))


def _ahead(ahead: Prefetch, key: Key, known: Known) -> Line:
    return (Piece(str(ahead), 0, known.of(key, label(ahead), ahead.span)),)
