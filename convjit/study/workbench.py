"""The texts of a compilation beside each other on a page: pointing at a part of one lights what belongs to it in all.

Without a script the texts are there all the same. With it, `workbench.js` lights them by the numbers in `data-n` (a
statement of the nest) and `data-t` (loops and stages of the schedule).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from convjit.study.ids import Ids
from convjit.study.linked import Form, Line, Linked, Piece
from convjit.study.linked_schedule import CHIPS
from convjit.study.markup import element, escape, inline
from convjit.study.page import asset

FOLDED = 4000
"""Lines above which a text is folded until it is asked for."""
SOURCE = ("program", "schedule", "nest")
"""Texts that stay in sight where there is room, beside those that are made of them."""
STYLE, SCRIPT = asset("workbench.css"), asset("workbench.js")

HELP = (
    "Point at a loop, a stage or a line: what belongs to it is lit in every text. A click or a tap keeps it, Escape lets go; "
    "in a text that has the focus the arrow keys walk from part to part."
)


@dataclass(frozen=True)
class Workbench:
    """The texts of one compilation. The page needs `STYLE` and `SCRIPT`."""

    linked: Linked

    def html(self, ids: Ids) -> str:
        """A line that says what is lit, the texts, and the numbers that link them."""
        name = ids.of("bench")
        source = "\n".join(self.pane(form, ids) for form in self.linked.forms if form.name in SOURCE)
        code = "\n".join(self.pane(form, ids) for form in self.linked.forms if form.name not in SOURCE)
        status = element("p", escape(HELP), {"class": "lit", "role": "status"})
        without = element("noscript", element("p", "The texts are linked by a script, which does not run here."))
        data = element("script", _json(self.linked), {"type": "application/json"})
        left = element("div", f"{without}{status}\n{source}", {"class": "source"})
        right = element("div", code, {"class": "made"})
        return element("div", f"{left}\n{right}\n{data}", {"class": "bench", "id": name})

    def pane(self, form: Form, ids: Ids) -> str:
        """One text under its name."""
        name = ids.of(f"pane-{form.name}")
        count = f"{len(form.lines)} lines" if form.lines else ""
        heading = element("h3", escape(form.title), {"id": name})
        head = element("header", f"{heading}<small>{count}</small> <output></output>")
        note = element("p", inline(form.note), {"class": "note"}) if form.note else ""
        code = element("pre", element("code", "".join(_marked(form.lines))), {"tabindex": "0", "aria-labelledby": name})
        if len(form.lines) > FOLDED:
            code = element("details", element("summary", f"Show all {len(form.lines)} lines") + code)
        more = self.chips() if form.name == "schedule" else ""
        body = f"{head}{note}{code if form.lines else ''}{more}"
        return element("section", body, {"class": f"pane {form.name}", "data-pane": form.title, "aria-labelledby": name})

    def chips(self) -> str:
        """Things that no schedule names."""
        names = {name for _, name in CHIPS}
        chips = [_token(t.label, (i,)) for i, t in enumerate(self.linked.things) if t.label in names and t.statements]
        return element("p", f"Also: {' '.join(chips)}", {"class": "chips"}) if chips else ""


def _marked(lines: Iterable[Line]) -> Iterator[str]:
    """Lines as HTML; neighbours that belong to one statement are one part."""
    first = True
    for key, group in groupby(lines, _whole):
        run = list(group)
        text = "\n".join("".join(p.text for p in line) for line in run) if key else ""
        yield "" if first else "\n"
        yield _linked(text, key) if key else "\n".join("".join(map(_piece, line)) for line in run)
        first = False


def _whole(line: Line) -> int:
    """The statement that a whole line belongs to, where it belongs to one; 0 where it doesn't."""
    return line[0].statement if len(line) == 1 else 0


def _piece(piece: Piece) -> str:
    if piece.things:
        return _token(piece.text, piece.things)
    return _linked(piece.text, piece.statement) if piece.statement else escape(piece.text)


def _linked(text: str, statement: int) -> str:
    return f'<span data-n="{statement}">{escape(text)}</span>'


def _token(text: str, things: tuple[int, ...]) -> str:
    return element("span", escape(text), {"data-t": " ".join(map(str, things)), "tabindex": "0", "role": "button"})


def _json(linked: Linked) -> str:
    """Ends of statements, and things with theirs; "<" cannot end the element that it stands in."""
    things = [[t.label, list(t.statements)] for t in linked.things]
    return json.dumps({"ends": linked.ends, "things": things}, separators=(",", ":")).replace("<", "\\u003c")
