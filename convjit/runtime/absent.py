"""A call of code that this processor does not run: it can be read, and a call says what is missing."""

from __future__ import annotations

from collections.abc import Mapping

from convjit.errors import Unavailable
from convjit.runtime.arrays import View
from convjit.runtime.checks import Axes
from convjit.runtime.host_call import HostCall
from convjit.runtime.plan import Plan


class AbsentCall(HostCall):
    """Refuses every call on arrays that fit, with `Unavailable`. `lacks` are the features that `target` needs."""

    def __init__(self, plan: Plan, axes: Axes, target: str, lacks: tuple[str, ...]) -> None:
        super().__init__(plan, axes)
        self.target = target
        self.lacks = lacks

    def with_plan(self, plan: Plan) -> AbsentCall:
        """The same for another plan."""
        return AbsentCall(plan, self.axes, self.target, self.lacks)

    def run(self, views: Mapping[str, View], sizes: Mapping[str, int]) -> None:
        """Without these features the process would end here (SIGILL)."""
        raise Unavailable.of(
            f"This machine cannot run {self.target}: it has no {' '.join(self.lacks)}.",
            hint="kernel.dump('asm') shows its code; `convjit targets` what runs here.",
        )
