"""The page of a learning run: its verdicts, and what it says is missing."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import RunFolderError
from bench.learn.folder import COLUMNS, TABLE
from bench.learn.variants import VARIANTS
from reports.errors import OutputError
from reports.learning.claims import CLAIMS, claims, summary
from reports.learning.page import load, page, write
from reports.published import write_index
from tests import ROOT
from tests.support.learned import Plant, lines


def test_the_command_writes_page_plot_and_tables(plant: Plant) -> None:
    right = {name: [950 + index, 955, 953 + index] for index, name in enumerate(VARIANTS)}
    folder = plant(lines(right), seeds=3)
    command = [sys.executable, "-m", "reports", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report = folder / "report"
    assert str(report / "learning.md") in done.stdout
    page = (report / "learning.md").read_text()
    assert "- Larger windows help the layer: **not shown: 3 seeds, at least 5 are needed** (" in page
    assert (
        "63 trainings of 63: 21 variants from 3 seeds, 2 at a time with one thread each, in 1 call of at most 10"
        in page
    )
    assert "not trained" not in page
    assert (report / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(report / "accuracy.csv")) == len(VARIANTS)
    assert len(pd.read_csv(report / "claims.csv")) == len(CLAIMS)


def test_the_page_says_what_is_missing_and_what_failed(plant: Plant) -> None:
    rows = lines({"relation-k3": [950], "relation-k7": [951]})
    rows[1] |= {"status": "error", "reason": "RuntimeError: a | <b>"} | dict.fromkeys(("correct", "loss"), "")
    run = load(plant(rows, variants=["relation-k3", "relation-k7"], seeds=4))
    text = page(run, {"claims": claims(run.rows), "accuracy": summary(run.rows), "differences": pd.DataFrame()})
    assert "1 trainings of 8: 2 variants from 4 seeds. **The others were not trained: time was over" in text
    assert "(in 1 call of at most 10 minutes).**" in text
    assert "relation-k7 seed 0 failed: RuntimeError: a \\| &lt;b>" in text


def test_the_page_on_published_runs_has_the_verdicts_of_a_learning_run(plant: Plant) -> None:
    folder = plant(lines({"relation-k3": [950, 948, 949, 946, 952], "relation-k7": [970, 972, 969, 975, 971]}))
    write(load(folder), folder / "report")
    text = write_index(folder.parent).read_text()
    assert "Larger windows help the layer: shown (+2.24 points" in text
    assert 'href="run/report/learning.md"' in text


def test_a_report_replaces_its_older_self_and_nothing_else(plant: Plant, tmp_path: Path) -> None:
    run = load(plant(lines({"relation-k3": [950, 960]})))
    out = tmp_path / "out"
    for _ in range(2):
        write(run, out)
    (out / "mine.txt").touch()
    with pytest.raises(OutputError, match=r"holds mine\.txt, which is no part of a report"):
        write(run, out)
    assert (out / "mine.txt").exists()


BAD = {
    "no row that ended well": ("variant,seed\n", "has no column kernel_size"),
    "an empty table": (",".join(COLUMNS) + "\n", "holds no training that ended well: its table has 0 rows"),
    "no text at all": ("", "cannot be read"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_learning_run_is_refused(plant: Plant, text: str, message: str) -> None:
    folder = plant([])
    (folder / TABLE).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        load(folder)
