"""Names of the places of one page."""

from __future__ import annotations

import re


class Ids:
    """Gives every name once: what is asked for, or that with a number behind it."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, text: str) -> str:
        """An id that nothing else on the page has, made of the text's letters and digits."""
        word = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "part"
        word = word if word[0].isalpha() else f"s-{word}"
        name, number = word, 1
        while name in self._given:
            number += 1
            name = f"{word}-{number}"
        self._given.add(name)
        return name
