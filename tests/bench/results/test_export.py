"""`python -m bench export`: documents that the other tool reads, with its own statistics."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.compared import failed, timed, write_run
from tests.support.in_process import Invoke


def test_pytest_benchmark_compares_exported_runs(invoke: Invoke, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, factor in (("before", 1.0), ("after", 2.0)):
        write_run(tmp_path / name, {1: timed(rng, factor), 2: timed(rng, factor), 3: failed("error")})
        code, out, error = invoke("export", name, "--format", "pytest-benchmark", "--out", f"{name}.json")
        assert (code, out) == (0, f"2 cases are in {name}.json\n")
        assert error == "1 of 3 cases have no samples and are left out\n"
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "before.json", "after.json", "--csv=told.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    told = (tmp_path / "told.csv").read_text()
    assert "batch=1-" in told
    assert "batch=2-" in told
    stored = json.loads((tmp_path / "after.json").read_text())
    assert stored["benchmarks"][0]["stats"]["median"] == pytest.approx(2e-3, rel=0.02)


def test_an_unknown_format_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    write_run(tmp_path / "run", {1: timed(np.random.default_rng(0))})
    code, out, error = invoke("export", "run", "--format", "asv")
    assert (code, out) == (2, "")
    assert "'asv' is not" in error
    assert "pytest-benchmark" in error
