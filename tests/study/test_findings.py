"""What the report concludes, checked on its first sample; and its own arithmetic."""

from __future__ import annotations

import numpy as np

from convjit.study.finding import CONFIRMED, REFUTED
from convjit.study.layer import layer
from convjit.study.report_arithmetic import in_sequence, nrmse_in_float32
from convjit.study.report_findings import Sample, findings
from tests.study.samples import made, sample1

INT16 = "9.458e-03 4.859e-03 2.444e-03 1.197e-03 6.137e-04 3.077e-04 1.528e-04 7.786e-05 8.554e-04"


def test_the_report_on_its_first_sample() -> None:
    data = sample1()
    found = {f.claim: f for f in findings(data.x, data.w)}
    assert all(str(f).startswith(f.verdict) and f.figure and f.source for f in found.values())
    assert {claim for claim, f in found.items() if f.verdict == CONFIRMED} == {
        "The best input scale of INT16 is 2^7.",
        "INT32's NRMSE is flat from 2^19 on, until values are clamped.",
        "INT32 tolerates larger scaling factors than INT16, and INT16 than INT8.",
        "Weight and activation sparsity is too low to leverage.",
        "INT16 at 2^8 has an NRMSE of 8.554e-04.",
    }
    refuted = {
        "The best input scale of INT8 is 2^0.": "The least NRMSE is 8.593e-03 at 2^1, where 0.50% of the weights are clamped; at 2^0 it is 9.572e-03.",
        "NRMSE explodes once values are clamped: 3.78e-02 for INT8 at 2^1.": "With exact saturation it is 8.593e-03, with 0.50% of the weights clamped.",
        "NRMSE explodes once values are clamped: 4.02e-02 for INT16 at 2^9.": "With exact saturation it is 7.082e-03, with 0.51% of the weights clamped.",
    }
    for claim, figure in refuted.items():
        assert (found[claim].verdict, found[claim].figure) == (REFUTED, figure)
    ratio = found["A kernel scaled 500 times more than the input has a similar range."]
    assert ratio.verdict == REFUTED
    assert ratio.figure.startswith("The ratio of standard deviations is 191, of largest values 153. Least NRMSE: INT16 has 7.786e-05 with 500, 2.744e-05")
    one = found["With S = 1, INT16 has 23% zeros in the input at an NRMSE of 0.0049."]
    assert one.verdict == REFUTED
    assert one.figure == "Of the padded input 50923 of 222784 (22.9%) is zero; NRMSE is 9.458e-03 (at 2^1 it is 4.859e-03)."
    assert "input 22287 of 222784 (10.0%), kernel 15 of 36864" in found["Weight and activation sparsity is too low to leverage."].figure


def test_the_reports_own_digits_come_from_its_arithmetic() -> None:
    data = sample1()
    sample = Sample(data.x, data.w)
    assert " ".join(f"{sample.in_report_arithmetic('i16', n):.3e}" for n in range(9)) == INT16
    assert f"{sample.in_report_arithmetic('i8', 0):.3e}" == "9.571e-03"
    assert f"{sample.in_report_arithmetic('i32', 19):.2e}" == "4.08e-08"


def test_other_data_have_findings_of_their_own() -> None:
    _, x, w = made(3, 8, 8)
    found = findings(x, w)
    assert len(found) == 12
    assert {f.verdict for f in found} <= {CONFIRMED, REFUTED}
    assert next(f for f in found if "8.554e-04" in f.claim).verdict == REFUTED


def test_one_product_after_the_other() -> None:
    spec, x, w = made(1, 5, 3)
    data = layer(spec, x, w)
    found = in_sequence(data)
    total = np.float32(0)
    for c in range(3):
        for kh in range(3):
            for kw in range(3):
                total += np.float32(x[0, 1 + kh, 2 + kw, c] * w[kh, kw, 1, c])
    assert found[0, 2, 3, 1] == total
    np.testing.assert_allclose(found, data.wanted, rtol=1e-4, atol=1e-4)


def test_a_mean_in_float32_is_near_the_exact_one() -> None:
    spec, x, w = made(1, 5, 3)
    data = layer(spec, x, w)
    rough = np.round(data.wanted, 1)
    found = nrmse_in_float32(rough, data.wanted.astype(np.float32))
    assert found == np.float32(found) and np.isclose(found, data.difference(rough).nrmse, rtol=1e-5)
