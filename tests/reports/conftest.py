"""Run folders to report on, made through the same door as the suite's own."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.results.columns import Row
from bench.results.folder import RunFolder
from reports.assembly import assemble
from reports.data.rows import load_run, load_runs
from reports.report import Drawn, Report
from reports.sections.material import Material, material_of
from tests.support import synthetic
from tests.support.hostile_page import HOSTILE
from tests.support.report_pages import command
from tests.support.report_rows import ENVIRONMENT, MakeRun, failed, sweep


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes rows as a run folder and returns its path."""

    def make(rows: Iterable[Row], name: str = "run", environment: Mapping[str, Any] = ENVIRONMENT) -> Path:
        folder = RunFolder.create(tmp_path / name, environment)
        for row in rows:
            folder.append(row, [])
        return folder.path

    return make


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are put together, and on pages, but no files are drawn, which takes most of a report's time."""
    monkeypatch.setattr("reports.output.draw_all", lambda drawings: [Drawn("<svg/>", b"")] * len(drawings))


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that the command made of it, for tests that change nothing."""
    folder = RunFolder.create(tmp_path_factory.mktemp("swept") / "run", ENVIRONMENT)
    lines = sweep({"unfold": 1.0, "triton": 9.0, "chunked": 0.8}) + sweep({"unfold": 0.4}, mode="backward")
    for row in [*lines, failed("error", HOSTILE, implementation=HOSTILE)]:
        folder.append(row, [])
    code, _, errors = command(folder.path)
    assert (code, errors) == (0, "")
    return folder.path


@pytest.fixture(scope="session")
def gpu_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a GPU that there is not."""
    return synthetic.gpu_run(tmp_path_factory.mktemp("runs") / "gpu")


@pytest.fixture(scope="session")
def gpu(gpu_run: Path) -> Material:
    """What the sections are made from, of that run."""
    return material_of([load_run(gpu_run, "gpu")])


@pytest.fixture(scope="session")
def gpu_report(gpu_run: Path) -> Report:
    """The report of that run, nothing drawn."""
    return assemble(load_runs([gpu_run]))
