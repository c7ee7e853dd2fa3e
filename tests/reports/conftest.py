"""Run folders to report on, made through the same door as the suite's own."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.results.columns import Row
from bench.results.folder import RunFolder
from reports.data.rows import load_run
from reports.sections.material import Material, material_of
from tests.support import synthetic
from tests.support.report_rows import ENVIRONMENT, MakeRun


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes rows as a run folder and returns its path."""

    def make(rows: Iterable[Row], name: str = "run", environment: Mapping[str, Any] = ENVIRONMENT) -> Path:
        folder = RunFolder.create(tmp_path / name, environment)
        for row in rows:
            folder.append(row, [])
        return folder.path

    return make


@pytest.fixture(scope="session")
def gpu_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a GPU that there is not."""
    return synthetic.gpu_run(tmp_path_factory.mktemp("runs") / "gpu")


@pytest.fixture(scope="session")
def gpu(gpu_run: Path) -> Material:
    """What the sections are made from, of that run."""
    return material_of([load_run(gpu_run, "gpu")])
