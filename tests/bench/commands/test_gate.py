"""`python -m bench gate`: two trees measured by one harness, and turns as one run.

The harness of these tests is a stand-in that writes a run folder at once, from a speed that `kernels` states.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.commands import gate
from bench.results.reading import read_run
from bench.results.turns import merge_turns
from tests.support.bench_cases import case
from tests.support.compared import failed, timed, write_run
from tests.support.in_process import Invoke

SESSION = '''
"""A harness that measures what kernels/ states."""

import json
import os
import random
import sys
from pathlib import Path

import kernels

CASE = json.loads(CASE_TEXT)


def main() -> None:
    if "fail" in sys.argv:
        sys.exit(1)
    out = Path(sys.argv[sys.argv.index("--out") + 1])
    out.mkdir(parents=True)
    random.seed(out.name)
    samples = [kernels.MS * random.gauss(1, 0.01) for _ in range(60)]
    latency = sorted(samples)[30]
    row = {**CASE, "status": kernels.STATUS, "device": "GPU 1", "latency_ms": latency}
    caches = [os.environ["TRITON_CACHE_DIR"], os.environ["TORCHINDUCTOR_CACHE_DIR"]]
    environment = {"schema_version": 5, "device": {"type": "cuda", "name": "GPU 1"}, "caches": caches, "argv": sys.argv}
    (out / "environment.json").write_text(json.dumps(environment))
    (out / "results.jsonl").write_text(json.dumps(row) + "\\n")
    (out / "samples.jsonl").write_text(json.dumps({**CASE, "samples_ms": samples}) + "\\n")
'''
KERNELS = 'MS, STATUS = {ms}, "{status}"\n'
Plant = Callable[..., None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """A repository whose commit `before` takes 1 ms; called with what the working tree's kernels state."""
    root = tmp_path / "repository"
    files = {
        "bench/__init__.py": "",
        "bench/measure/runner.py": "",
        "bench/__main__.py": "from bench.commands.run import main\nmain()\n",
        "bench/commands/run.py": SESSION.replace("CASE_TEXT", repr(json.dumps(case().parameters()))),
        "kernels/__init__.py": KERNELS.format(ms=1.0, status="ok"),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "before"], ["tag", "before"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    monkeypatch.setattr(gate, "ROOT", root)

    def change(text: str) -> None:
        (root / "kernels/__init__.py").write_text(text, encoding="utf-8")

    return change


def worktrees() -> int:
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=vars(gate)["ROOT"], capture_output=True, text=True, check=True
    )
    return len(listed.stdout.splitlines())


ENDS = {"the same": (1.0, "ok", 0), "slower": (1.1, "ok", 1), "faster": (0.9, "ok", 0), "wrong": (1.0, "incorrect", 3)}


@pytest.mark.parametrize(("ms", "status", "code"), ENDS.values(), ids=ENDS.keys())
def test_the_working_tree_is_judged_against_a_commit(
    invoke: Invoke, plant: Plant, tmp_path: Path, ms: float, status: str, code: int
) -> None:
    plant(KERNELS.format(ms=ms, status=status))
    found, _, error = invoke("gate", "before", "quick", "-a", "k=7", "--out", "out")
    assert (found, error) == (code, "")
    runs = {name: read_run(tmp_path / "out" / name) for name in "AB"}
    turns = {name: run.environment["turns"] for name, run in runs.items()}
    assert turns == {"A": ["0-A", "3-A", "4-A", "7-A"], "B": ["1-B", "2-B", "5-B", "6-B"]}
    assert runs["A"].environment["code"]["git_dirty"] is False
    assert runs["B"].environment["code"]["git_dirty"] is (ms != 1.0 or status != "ok")
    assert runs["A"].environment["caches"] != runs["B"].environment["caches"]
    assert runs["B"].environment["argv"][1:5] == ["run", "quick", "-a", "k=7"]
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert comparison["exit_code"] == code
    if status == "ok":
        assert comparison["pairs"][0]["ratio"] == pytest.approx(ms, rel=0.01)
        assert [len(line.samples_ms) for run in runs.values() for lines in run.samples.values() for line in lines] == [
            60
        ] * 8
    assert worktrees() == 1


REFUSED = {
    "commit": (["nowhere"], 2, "'nowhere'"),
    "turns": (["before", "--turns", "6"], 2, "got 6"),
    "resume": (["before", "--resume"], 2, "--resume"),
    "folder": (["before", "--out", "repository"], 2, "repository"),
    "a turn that fails": (["before", "fail"], 4, "turn 1 (A) ended with exit code 1"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_measured_is_refused(
    invoke: Invoke, plant: Plant, arguments: list[str], code: int, said: str
) -> None:
    plant(KERNELS.format(ms=1.0, status="ok"))
    found, _, error = invoke("gate", *arguments)
    assert (found, error.count("\n")) == (code, 1)
    assert said in error
    assert worktrees() == 1


def test_kernels_that_do_not_fit_the_harness_are_named(invoke: Invoke, plant: Plant) -> None:
    plant("import nothing_of_this_name\n")
    code, _, error = invoke("gate", "before")
    assert code == 4
    assert error == (
        "error: the kernels of side B do not fit this harness: "
        "ModuleNotFoundError: No module named 'nothing_of_this_name'\n"
    )


def test_turns_become_one_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    latencies = [1.0, 2.0, 3.0]
    paths = [
        write_run(tmp_path / str(place), {1: timed(rng, latency, peak_mib=latency), 2: timed(rng)})
        for place, latency in enumerate(latencies)
    ]
    merge_turns(paths, tmp_path / "out", {"turns": 3})
    run = read_run(tmp_path / "out")
    assert run.environment["turns"] == 3
    assert [line.turn for line in next(iter(run.samples.values()))] == [1, 2, 3]
    one = run.rows[next(key for key in run.rows if "1" in key[4])]
    assert one["latency_ms"] == pytest.approx(2.0, rel=0.02)
    assert (one["samples"], one["peak_mib"]) == (300, 3.0)
    assert one["latency_p20_ms"] < 1.1
    assert one["latency_p80_ms"] > 2.9
    assert one["images_per_s"] == pytest.approx(1e3 / one["latency_ms"])


def test_a_case_that_failed_in_one_turn_has_no_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [
        write_run(tmp_path / "0", {1: timed(rng), 2: timed(rng)}),
        write_run(tmp_path / "1", {1: failed("incorrect")}),
    ]
    merge_turns(paths, tmp_path / "out", {})
    rows = list(read_run(tmp_path / "out").rows.values())
    assert [row["status"] for row in rows] == ["incorrect", "error"]
    assert rows[1]["reason"] == "measured in 1 of 2 turns"
