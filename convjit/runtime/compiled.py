"""What every compiled convolution offers, whatever it was compiled for: the texts of its stages, and `bind`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from convjit.errors import ConvError, did_you_mean
from convjit.kernel.program import Program
from convjit.runtime.array_call import ArrayCall
from convjit.runtime.bind import bind
from convjit.runtime.checks import arrange

Text = str | Callable[[], str]
"""A text, or what makes it when it is first asked for."""


class Conv:
    """What `CompiledConv` and `BoundConv` share: `k(x, …, out=None)` calls it, with arrays in the order of declaration or
    by name; `k.function` is the fastest way to do so; `k.threads` the number of CPU workers (elsewhere it does nothing).
    """

    _python: ArrayCall
    threads: int

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The output, of the kind of the first array, or `out`. `TypeError` or `ValueError` where arrays do not fit."""
        return self._python(*arrays, **named)

    @property
    def function(self) -> Callable[..., Any]:
        """The same call as a function."""
        return self.__call__

    @property
    def program(self) -> Program:
        """What a call runs, and the arrays that it makes."""
        return self._python.plan.program

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"'{self._python.plan.program.name}' is machine code of this process and can be neither copied nor pickled; "
            "pass on its text, str(kernel.spec), and compile that."
        )


class BoundConv(Conv):
    """A convolution with some of its arrays fixed (see `CompiledConv.bind`)."""

    kernel: CompiledConv
    """The convolution that it is bound of: perhaps one that relies on the certificate, or on the weight's zeros."""

    density: object = None
    """How many numbers of a sparse weight are not 0, where it is bound."""

    def __init__(self, certificate: object) -> None:
        self.certificate = certificate

    def dump(self, stage: str) -> str:
        """The text of a stage of its kernel."""
        return self.kernel.dump(stage)

    def explain(self) -> str:
        """Which way was taken, and why; and what the certificate says."""
        remark = self.kernel.remark(self.certificate, self.density)
        more = f"\nzeros: {remark}" if remark else ""
        more += f"\ncertificate: {self.certificate}" if self.certificate else ""
        return self.kernel.explain().rstrip() + more


class CompiledConv(Conv):
    """A convolution that can be called: give it its arrays, or `bind` what stays the same.

    Made by the compiler. `bound` makes a callable of a call with arrays bound and its certificate; `constants` are the
    arrays that `bind` takes by position; `stages` and `explanation` texts, or functions that make them. `certify` gives
    the certificate of bound arrays, `weigh` how many weights are not 0, `specialise` a convolution that relies on both, or None, and
    `remark` says what is made of the zeros. `arithmetic` gives the machine, with the
    instructions that are exact here, and the types of input, weight and sum as they are multiplied.
    """

    def __init__(
        self,
        bound: Callable[[Any, object], BoundConv],
        *,
        spec: Any = None,
        stages: Mapping[str, Text] | None = None,
        explanation: Text = "",
        constants: tuple[str, ...] | None = None,
        certify: Callable[[Mapping[str, Any]], object] | None = None,
        weigh: Callable[[Mapping[str, Any]], object] | None = None,
        specialise: Callable[[object, object], CompiledConv | None] | None = None,
        remark: Callable[[object, object], str] = lambda found, share: "",
        arithmetic: Callable[[], Any] = lambda: None,
    ) -> None:
        inputs = self._python.plan.program.inputs
        self.spec = spec
        self._bound = bound
        self._stages = dict(stages or {})
        self._explanation = explanation
        self._constants = tuple(a.name for a in inputs[1:]) if constants is None else constants
        self._certify = certify
        self._weigh = weigh
        self._specialise = specialise
        self.remark = remark
        self.arithmetic = arithmetic

    @property
    def stages(self) -> tuple[str, ...]:
        """The names that `dump` takes, in the order of compilation."""
        return tuple(self._stages)

    def dump(self, stage: str) -> str:
        """The text of a stage."""
        if stage not in self._stages:
            raise ConvError.of(
                f"There is no stage '{stage}'.",
                note=f"The stages are {' '.join(self._stages)}.",
                hint=did_you_mean(stage, self._stages),
            )
        text = self._stages[stage]
        if not isinstance(text, str):
            text = self._stages[stage] = text()
        return text

    def explain(self) -> str:
        """Which way was taken, and why."""
        if not isinstance(self._explanation, str):
            self._explanation = self._explanation()
        return self._explanation

    def bind(self, *arrays: Any, **named: Any) -> BoundConv:
        """The call with these arrays fixed; what is made of them alone (packed weights) is made now, once.

        By position: weight, bias and other constants in order of declaration; by name: any input. The arrays must not
        change afterwards.
        """
        plan = self._python.plan
        allowed = [*self._constants, *(a.name for a in plan.params if a.name not in self._constants)]
        if len(arrays) > len(self._constants):
            arrange(self._constants, arrays, named, f"{plan.program.name}.bind", partial=True)
        given = arrange(allowed, arrays, named, f"{plan.program.name}.bind", partial=True)
        certificate = self._certify(given) if self._certify else None
        share = self._weigh(given) if self._weigh else None
        better = self._specialise(certificate, share) if self._specialise and (certificate or share) else None
        if better is not None:
            better.threads = self.threads
        kernel = better or self
        bound = kernel._bound(kernel._python.with_plan(bind(kernel._python, given)), certificate)
        bound.kernel = kernel
        bound.density = share
        return bound
