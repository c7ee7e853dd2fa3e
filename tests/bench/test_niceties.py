"""A nicety that fails does not take the command with it: what cannot be printed, kept, set or read on."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.case.axes import AXES
from bench.case.request import Request
from bench.case.sweeps import expand, require_sweep
from bench.device import calibration, environment
from bench.results.export import pytest_benchmark
from bench.results.reading import read_run
from bench.run import worker_process
from tests import ROOT
from tests.support.bench_cases import CPU
from tests.support.compared import timed, write_run
from tests.support.in_process import Invoke


def suite(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """The suite in a process of its own, with other variables."""
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_what_an_encoding_lacks_is_replaced(encoding: str) -> None:
    done = suite("table", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    # For ASCII, click takes the terminal's word for a mistake and writes UTF-8.
    assert "lr_net_50" in done.stdout.decode("utf-8" if encoding == "ascii" else encoding)


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    command = f"{sys.executable} -m bench table | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_tables_in_a_pipe_are_not_cut() -> None:
    variables = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "bench", "list", "axes"]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    names = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert names == set(AXES)
    assert any(len(line.rstrip()) > 80 for line in done.stdout.splitlines())


def test_a_calibration_that_cannot_be_kept_is_refused_before_it_is_measured(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, out, error = invoke("doctor", "--device", "cpu")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "cannot be written, where the calibration is kept" in error


def test_a_user_without_a_home_has_a_cache_in_the_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert calibration.path_of(CPU).parts[-2] == "local-relation"


def test_a_worker_starts_where_its_score_cannot_be_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(worker_process, "_OOM_SCORE", SimpleNamespace(write_text=forbidden))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(prctl=lambda *_: 0))
    worker_process.die_with_parent()
    assert "cannot be set: Permission denied" in capsys.readouterr().err


def test_an_archive_inside_another_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    identity = ["-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "theirs"], cwd=tmp_path, check=True)
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr(environment, "ROOT", tmp_path / "unpacked")
    assert environment.checkout() == {"git_commit": None, "git_dirty": False}
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert environment.checkout()["git_commit"] is not None


NO_RUN = {"out": (["--out", ""], "--out"), "seconds": (["--seconds", "inf"], "--seconds")}


@pytest.mark.parametrize(("options", "said"), NO_RUN.values(), ids=NO_RUN.keys())
def test_a_run_of_no_sense_is_refused(invoke: Invoke, tmp_path: Path, options: list[str], said: str) -> None:
    code, out, error = invoke("run", "--device", "cpu", *options)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_ten_million_cases_shows_the_ends(invoke: Invoke) -> None:
    many = ",".join(map(str, range(1, 3_001)))
    code, out, error = invoke("run", "--dry-run", "--device", "cpu", "-a", f"C={many}", "-a", f"batch={many}")
    assert (code, error) == (0, "")
    assert "too many to be shown" in out
    assert "unfold operator forward N1 C64 28×28 k3 " in out
    assert "unfold operator forward_backward N3000 C64 28×28 k7 m8 s2\n" in out
    assert int(out.split("up to ")[1].split()[0].replace(",", "")) > 10_000_000


def test_the_size_of_a_sweep_is_known_without_its_cases() -> None:
    for name in ("quick", "grid"):
        request = Request(name, (), (), None, "cpu")
        cases = request.cases(torch.device("cpu"))
        assert len(cases) <= request.size(CPU) <= 2 * len(cases)
        assert {*request.ends(CPU)} <= {*cases}
        assert cases[0] == request.ends(CPU)[0]
    assert expand(require_sweep("quick"), {})


def test_a_case_has_the_same_name_in_every_run_and_no_other_has_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = []
    for number, changes in enumerate(({"kernel_size": 3}, {"kernel_size": 5}, {"kernel_size": 3})):
        run = read_run(write_run(tmp_path / str(number), {1: timed(rng, **changes)}))
        names.append(pytest_benchmark(run)["benchmarks"][0]["name"])
    assert names[0] == names[2] != names[1]
    assert "kernel_size=3" in names[0]
