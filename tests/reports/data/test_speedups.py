"""Speed-up over the baseline."""

import math
from typing import Any

import pytest

from reports.data.parameters import implementations
from reports.data.speedups import speedups
from tests.support.report_rows import MakeRun, case, failed
from tests.support.report_sections import material_from


def test_speedup_is_the_geometric_mean_of_the_pairs(make_run: MakeRun) -> None:
    rows = [
        case(8.0, m=1),
        case(2.0, m=1, implementation="triton"),
        case(9.0, m=2),
        case(1.0, m=2, implementation="triton"),
        failed("out_of_memory", "too large", m=4),
        case(1.0, m=4, implementation="triton"),
        case(5.0, m=8),
        failed("unsupported", "no", m=8, implementation="triton"),
        case(1.0, m=16, implementation="triton"),
        case(5.0, m=32),
    ]
    (speedup,) = speedups(material_from(make_run, rows).cases).to_dict("records")
    assert speedup["implementation"] == "triton"
    assert speedup["speedup"] == pytest.approx(math.sqrt(4 * 9))
    assert (speedup["least"], speedup["most"], speedup["pairs"]) == (4, 9, 2)
    expected = {"1 unfold out_of_memory", "1 unsupported", "1 unfold not run", "1 not run"}
    assert set(speedup["left out"].split(", ")) == expected


@pytest.mark.parametrize("other", [{"mode": "backward"}, {"scope": "layer"}, {"device": "cuda"}, {"cache": "cold"}])
def test_modes_scopes_devices_and_settings_are_never_paired(make_run: MakeRun, other: dict[str, Any]) -> None:
    material = material_from(make_run, [case(8.0), case(1.0, implementation="triton", **other)])
    assert set(speedups(material.cases)["pairs"]) == {0}


def test_yardsticks_are_not_compared(make_run: MakeRun) -> None:
    rows = [case(8.0), case(2.0, implementation="triton"), case(0.01, implementation="conv3x3", kind="yardstick")]
    cases = material_from(make_run, rows).cases
    assert list(speedups(implementations(cases))["implementation"]) == ["triton"]
