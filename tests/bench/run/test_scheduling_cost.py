"""What a case costs besides being measured."""

import re
import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.timing
@pytest.mark.parametrize(("executor", "most_ms"), [(["local", "1"], 20), (["local", "2"], 20), (["ray"], 50)])
def test_a_thousand_cases_cost_little(executor: list[str], most_ms: float) -> None:
    command = [sys.executable, "-m", "tests.support.scheduling_cost", *executor]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = re.search(r"cost: ([\d.]+) ms a case", done.stdout)
    assert found is not None
    assert float(found[1]) <= most_ms
