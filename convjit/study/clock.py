"""How much time there is left."""

from __future__ import annotations

import time


class Clock:
    """So many seconds, from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self._end - time.perf_counter())
