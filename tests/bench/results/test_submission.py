"""Which runs can be published, why others cannot, and what is packed of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.results.columns import Row
from bench.results.folder import RunFolder, csv_lines
from bench.results.reading import read_run
from bench.results.submission import name_of
from tests.support.in_process import Invoke
from tests.support.small_runs import SIZES

pytestmark = pytest.mark.usefixtures("in_process")

CHECK = {"name": "timer", "verdict": "WARN", "found": "slow", "advice": "wait"}
DOCTOR: dict[str, Any] = {
    "format": 1,
    "measured": "2026-11-22T12:00:00+00:00",
    "device": "CPU",
    "torch": "2.13.0",
    "noise_floor": 0.01,
    "roofs": {},
    "checks": [CHECK],
}
ONE = [word.replace("N=1,2", "N=2") for word in SIZES]
COMMAND = ["run", "quick", *ONE, "--implementation", "unfold", "--device", "cpu", "--seconds", "0"]
Change = Callable[[dict[str, Any], list[Row]], None]


@pytest.fixture(scope="module")
def kept() -> dict[str, str]:
    """The files of a run, measured once."""
    return {}


@pytest.fixture
def run(invoke: Invoke, kept: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that is fit to be published: the machine was calibrated, and the checkout clean."""
    monkeypatch.setattr("bench.measure.runner.unmeasurable", lambda _: "not asked")
    path = Path("run")
    if not kept:
        assert invoke(*COMMAND, "--out", path)[0] == 0
        kept.update({file.name: file.read_text(encoding="utf-8") for file in path.glob("*.*") if file.suffix})
    path.mkdir(exist_ok=True)
    for name, text in kept.items():
        (path / name).write_text(text, encoding="utf-8")
    changed(path, lambda about, _: about.update(doctor=DOCTOR, code={**about["code"], **CLEAN}))
    return path


CLEAN = {"git_commit": "0" * 40, "git_dirty": False}


def changed(path: Path, change: Change) -> None:
    """Rewrite a run."""
    folder = RunFolder(path)
    about = folder.environment()
    rows = [json.loads(line) for line in folder.rows_path.read_text(encoding="utf-8").splitlines()]
    change(about, rows)
    folder.write_environment(about)
    folder.rows_path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    header = folder.csv_path.read_text(encoding="utf-8").splitlines()[0]
    folder.csv_path.write_text(f"{header}\n{csv_lines(rows)}", encoding="utf-8")


def test_a_good_run_is_packed_with_its_report_under_a_name_of_its_own(invoke: Invoke, run: Path) -> None:
    changed(run, lambda about, _: about.update(started="2026-11-22T12:00:00+00:00"))
    code, out, error = invoke("submit", run, "--out", "published")
    assert (code, error) == (0, "")
    assert [line for line in out.splitlines() if line.endswith(": good")] == [
        f"{name}: good" for name in ("schema", "environment", "trust", "correctness", "bound")
    ]
    (target,) = (path for path in Path("published").iterdir() if path.is_dir())
    assert target.name.startswith("2026-11-22-cpu-")
    assert target.name.endswith("-cores-quick")
    assert sorted(path.name for path in target.iterdir()) == ["environment.json", "report", "results.csv"]
    assert (target / "results.csv").read_bytes() == (run / "results.csv").read_bytes()
    assert f'<h3 id="run-1-1-title">{target.name}</h3>' in Path("published", "index.html").read_text(encoding="utf-8")
    code, _, error = invoke("submit", run, "--out", "published")
    assert (code, error) == (2, f"error: {target} holds this run already\n")


def test_another_run_of_the_day_gets_a_number(invoke: Invoke, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("report_on", "index_of"):
        monkeypatch.setattr(f"bench.commands.submit.{name}", lambda _: 0)
    assert invoke("submit", run, "--out", "published")[0] == 0
    changed(run, lambda about, _: about.update(started=f"{about['started'][:10]}T23:59:59+00:00"))
    assert invoke("submit", run, "--out", "published")[0] == 0
    first, second = sorted(path.name for path in Path("published").iterdir())
    assert second == f"{first}-2"


def row_with(**values: Any) -> Change:
    return lambda _, rows: rows[0].update(values)


def about_with(**values: Any) -> Change:
    return lambda about, _: about.update(values)


def code_with(**values: Any) -> Change:
    return lambda about, _: about["code"].update(values)


FAULTS: dict[str, tuple[Change, str]] = {
    "a number that is a text": (row_with(latency_ms="1"), "schema: row, $.latency_ms: '1' is not of type 'number'"),
    "an environment without a host": (
        lambda about, _: about.pop("host"),
        "schema: environment, $: 'host' is a req",
    ),
    "an older version": (about_with(schema_version=4), "schema: environment, $.schema_version: 5 was expected"),
    "changes in no commit": (code_with(git_dirty=True), "environment: the checkout had changes that are in no commit"),
    "no commit": (
        code_with(git_commit=None),
        "environment: neither the commit nor the version of an installed",
    ),
    "a shard": (about_with(shard={"index": 1, "count": 2}), "environment: it is a shard: merge all of them"),
    "a side of a gate": (about_with(turns=["0-A"]), "environment: it is a side of a gate, not a run"),
    "two devices": (row_with(device="Another"), "environment: 2 devices have a part in it (A"),
    "cases that are left": (about_with(cases=9), "environment: 8 of 9 cases have no row: go on with --resume"),
    "no doctor": (about_with(doctor=None), "trust: no doctor measured the noise of this device before the run"),
    "a check that failed": (
        about_with(doctor={**DOCTOR, "checks": [{**CHECK, "verdict": "FAIL"}]}),
        "trust: the doctor's check of timer failed: slow",
    ),
    "tests that failed": (
        about_with(gpu_tests="failed: pytest ended with 1"),
        "trust: the GPU's tests: failed",
    ),
    "throttling": (row_with(tainted=True), "trust: 1 of 1 timed cases were throttled, and at most 5% may have been"),
    "other code": (row_with(fingerprint="0" * 12), "trust: 1 rows are of other code or another machine than env"),
    "no time": (
        row_with(
            status="incorrect",
            reason="error 2.0",
            **dict.fromkeys(("latency_ms", "latency_p20_ms", "latency_p80_ms", "samples", "images_per_s", "stop")),
            **dict.fromkeys(
                ("latency_low_ms", "latency_high_ms", "outliers", "timer", "host_ms", "warmup_s", "tainted")
            ),
        ),
        "correctness: no case has a time\ncorrectness: unfold forward operator N=2 C=8 6×6 k=3 m=4 float32 hot is",
    ),
    "a time that was not checked": (row_with(error=None), "correctness: unfold forward operator N=2 C=8 6×6 k=3 m=4 "),
    "a time below its bound": (row_with(bound_fraction=1.25), "bound: unfold forward operator N=2 C=8 6×6 k=3 m=4 flo"),
}


@pytest.mark.parametrize(("change", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_amiss_is_told_and_nothing_is_packed(invoke: Invoke, run: Path, change: Change, told: str) -> None:
    def alone(about: dict[str, Any], rows: list[Row]) -> None:
        about["cases"], rows[:] = 1, rows[:1]

    changed(run, alone)
    changed(run, change)
    code, out, error = invoke("submit", run, "--out", "published")
    assert (code, error) == (1, "run cannot be published as it is\n")
    assert told in out
    assert not Path("published").exists()


GPU = {
    **dict.fromkeys(("capability", "multiprocessors", "l2_bytes", "memory_gib", "bounded_as"), 1),
    "type": "cuda",
    "name": "NVIDIA H200 (141 GB)",
    "uuid": "GPU-1",
    "roofs": {"copy": "measured"},
    "driver": "580.1",
    "telemetry_absent": None,
}


def on_gpu(about: dict[str, Any], rows: list[Row]) -> None:
    about.update(device=GPU, started="2026-11-22T12:00:00+00:00", gpu_tests="passed in 60 s")
    for row in rows:
        row["device"] = GPU["name"]


def test_a_gpus_run_is_named_by_it_and_its_driver_is_known(invoke: Invoke, run: Path) -> None:
    changed(run, on_gpu)
    assert invoke("submit", run, "--dry-run")[0] == 0
    assert name_of(read_run(run)) == "2026-11-22-nvidia-h200-141-gb-quick"
    changed(run, about_with(device={**GPU, "driver": None, "telemetry_absent": "NVML cannot be loaded"}))
    code, out, _ = invoke("submit", run, "--dry-run")
    assert (code, "environment: the driver is not known: NVML cannot be loaded" in out) == (1, True)


def test_an_installed_release_needs_no_commit(invoke: Invoke, run: Path) -> None:
    def installed(about: dict[str, Any], _: list[Row]) -> None:
        about["code"]["git_commit"] = None
        about["versions"]["local-relation"] = "0.1.0"

    changed(run, installed)
    assert invoke("submit", run, "--out", "published", "--dry-run")[0] == 0
    assert not Path("published").exists()


def test_many_faults_of_a_kind_are_shortened(invoke: Invoke, run: Path) -> None:
    def wrong(_: dict[str, Any], rows: list[Row]) -> None:
        rows[:] = [{**rows[0], "batch": batch, "bound_fraction": 2.0} for batch in range(1, 6)]

    changed(run, wrong)
    lines = [line for line in invoke("submit", run)[1].splitlines() if line.startswith("bound: ")]
    assert len(lines) == 4
    assert lines[0].endswith("takes 0.50 of the least time by its bound")
    assert lines[-1] == "bound: and 2 more like these"


def test_what_is_no_run_is_refused(invoke: Invoke, run: Path) -> None:
    (run / "results.jsonl").unlink()
    code, _, error = invoke("submit", run)
    assert (code, error) == (2, "error: run has no results.jsonl: give the folder that a run left\n")
    code, _, error = invoke("submit", "nowhere")
    assert code == 2
    assert not Path("nowhere").exists()
