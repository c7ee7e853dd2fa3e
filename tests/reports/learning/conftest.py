"""Folders that learning runs left."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.learn.folder import COLUMNS, TABLE
from bench.learn.variants import VARIANTS
from bench.results.columns import SCHEMA_VERSION
from tests.support.learned import Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Writes rows as `python -m bench learn` does, and returns the folder."""

    def write(rows: Sequence[Mapping[str, Any]], **changes: Any) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        about = {
            "variants": list(VARIANTS),
            "seeds": 2,
            "minutes": 10.0,
            "processes": 2,
            "implementation": "unfold",
            "calls": 1,
        }
        about |= {"split": "half and half", "recipe_in_words": "one epoch", **changes}
        environment = {"schema_version": SCHEMA_VERSION, "argv": ["python", "-m", "bench", "learn"], "learning": about}
        (folder / "environment.json").write_text(json.dumps(environment))
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return folder

    return write
