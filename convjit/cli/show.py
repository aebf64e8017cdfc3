"""What `run` prints of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convjit.cli.runner import Measured
from convjit.pipeline import Compilation
from convjit.report import milliseconds
from convjit.spec.check import Verdict
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


def result_lines(
    c: Compilation, spec: ConvSpec, measured: Measured, verdict: Verdict, notes: Mapping[str, str], calibrated: str = ""
) -> list[str]:
    """Shapes, dataflow, target, error, time. `spec` has no open sizes; `notes` say where each tensor's data is from,
    `calibrated` is the clause that was found for these data, if any."""
    head = f"{spec.name}: {flow(c)} on {measured.place}"
    tensors = [(t.name, _shape(t), notes.get(t.name, "")) for t in spec.tensors]
    proof = [f"  certificate: {measured.certificate}"] if measured.certificate else []
    scales = [f"  calibrated on these data: {calibrated}"] if calibrated else []
    return [head, *(f"  {line}" for line in columns(tensors)), *scales, *_error(verdict), *proof, *_time(spec, measured)]


def flow(c: Compilation) -> str:
    """The dataflow that was taken, and what was asked for where that is another word."""
    if not isinstance(c.spec.dataflow, str):
        return "the dataflow as written"
    return (
        c.schedule.dataflow if c.schedule.dataflow == c.spec.dataflow else f"{c.schedule.dataflow} ({c.spec.dataflow})"
    )


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words, aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(w.ljust(n) for w, n in zip(row, widths, strict=True)).rstrip() for row in rows]


def _shape(tensor: Tensor) -> str:
    sizes = ", ".join(f"{axis}={size}" for axis, size in zip(tensor.axes, tensor.sizes, strict=True))
    return f"{tensor.dtype}[{sizes}]"


def _error(verdict: Verdict) -> list[str]:
    """Whether the result is right, and how far it is from the reference."""
    if verdict.wrong:
        kind = (
            "differ from the exact result" if verdict.exact else "are further from the reference than rounding explains"
        )
        where = f"  WRONG: {verdict.wrong} elements {kind}, the first at {list(verdict.first)}"
        return [where, f"  NRMSE {verdict.nrmse:.3g}, max error {verdict.largest:.3g}"]
    if verdict.exact:
        more = f"; NRMSE {verdict.nrmse:.4g} against float64 without 'compute'" if verdict.nrmse else ""
        return [f"  exact: every element equals the reference{more}"]
    return [f"  NRMSE {verdict.nrmse:.3g}, max error {verdict.largest:.3g} ({verdict.share:.1%} of the bound): right"]


def _time(spec: ConvSpec, measured: Measured) -> list[str]:
    rate = (spec.operations or 0) / measured.seconds
    text = f"  median time {milliseconds(measured.seconds)}, {rate / 1e9:.1f} GFLOP/s"
    if measured.peak is None:
        return [text]
    return [f"{text}, {rate / measured.peak.operations:.0%} of the peak of {measured.peak}"]
