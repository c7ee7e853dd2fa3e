"""A sweep on a real Ray cluster of two nodes, one of which is killed half-way; and what is no cluster."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from bench.results.folder import RunFolder
from tests import ROOT
from tests.support.in_process import Invoke
from tests.support.small_runs import arguments, keys_of, require_whole, rows_of

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")

RAY = Path(sys.executable).with_name("ray")
CASES = 24
VARIABLES = {
    **os.environ,
    # A dead node is missed after a second and a half, instead of a quarter of a minute.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Nobody else may use the cluster, and no token that the user may have is touched.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(16),
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@dataclass
class Cluster:
    """Nodes of one CPU slot each, by Ray's own start command; none of their processes outlives the test."""

    # Sockets lie in it, whose paths may be no longer than 107 letters.
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp")))
    port: int = field(default_factory=free_port)
    nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the next node, the first as the head."""
        head = ["--head", f"--port={self.port}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
        which = [f"--address={self.address}"] if self.nodes else head
        sizes = ["--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats"]
        command = [str(RAY), "start", *which, "--node-ip-address=127.0.0.1", *sizes, "--block"]
        number = len(self.nodes)
        with (self.folder / f"node{number}.log").open("wb") as log:
            self.nodes.append(subprocess.Popen(command, env=VARIABLES, stdout=log, stderr=log, start_new_session=True))
        self.wait_for(f"node{number}.log", b"Ray runtime started")

    def wait_for(self, log: str, text: bytes) -> None:
        end = time.monotonic() + 40.0
        while text not in (self.folder / log).read_bytes():
            assert time.monotonic() < end, (self.folder / log).read_text(encoding="utf-8")
            time.sleep(0.05)

    def kill(self, number: int) -> None:
        """Kill a node with all its processes."""
        node = psutil.Process(self.nodes[number].pid)
        end([*node.children(recursive=True), node])
        self.nodes[number].wait()

    def close(self) -> None:
        """Kill everything, also what has lost its parent: it names the folder, or works for the one that does."""
        family = [process for node in self.nodes for process in _descendants(node.pid)]
        end([*family, *(one for one in psutil.process_iter() if str(self.folder) in " ".join(_command(one)))])
        for node in self.nodes:
            node.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    return []


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return list(process.cmdline())
    return []


def end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes."""
    started = Cluster()
    try:
        started.start()
        started.start()
        yield started
    finally:
        started.close()


def sweep(path: Path) -> list[str]:
    """A CPU sweep of six problems."""
    return [word.replace("m=4", "m=1,4,8") for word in arguments(path)]


@pytest.mark.extended
def test_a_node_is_killed_half_way(cluster: Cluster, invoke: Invoke, tmp_path: Path, in_process: None) -> None:  # noqa: ARG001
    path = tmp_path / "run"
    command = [sys.executable, "-m", "bench", *sweep(path), "--seconds", "0.1"]
    command += ["--executor", "ray", "--address", cluster.address]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=VARIABLES, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as run:
        try:
            wait_for_rows(path, 4)
            cluster.kill(1)
            out, error = run.communicate(timeout=60)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, error
    assert "warning: a device is lost: Ray's node" in error
    require_whole(path, CASES)
    rows = rows_of(path)
    assert {row["status"] for row in rows} == {"ok"}
    assert invoke(*sweep(tmp_path / "local"))[0] == 0
    assert keys_of(path) == keys_of(tmp_path / "local")
    environment = RunFolder(path).environment()
    assert len(environment["devices"]) == 2
    assert {row["host"] for row in rows} == {one["host"] for one in environment["devices"]} == {os.uname().nodename}
    assert {row["fingerprint"] for row in rows} <= {one["fingerprint"] for one in environment["devices"]}
    assert "ms on 2 devices" in out


def wait_for_rows(path: Path, count: int) -> None:
    end_of_wait = time.monotonic() + 60.0
    while not (path / "results.jsonl").exists() or len(rows_of(path)) < count:
        assert time.monotonic() < end_of_wait
        time.sleep(0.02)


NOT_THERE = {
    "nobody": ("127.0.0.1:{port}", "no Ray cluster answers at --address 127.0.0.1:"),
    "no port": ("localhost", "--address is auto, HOST:PORT or local, got 'localhost'"),
    "no such port": ("127.0.0.1:99999", "no Ray cluster answers at --address 127.0.0.1:99999"),
}


@pytest.mark.parametrize(("address", "said"), NOT_THERE.values(), ids=NOT_THERE.keys())
def test_an_address_that_nobody_answers(invoke: Invoke, tmp_path: Path, address: str, said: str) -> None:
    asked = address.format(port=free_port())
    start = time.monotonic()
    code, out, error = invoke("run", "--executor", "ray", "--address", asked, "--out", tmp_path / "run")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error
    assert time.monotonic() - start < 10.0
    assert not (tmp_path / "run").exists()


CHOSEN = [(["--devices", "0"], "--devices chooses"), (["--device", "cuda:1"], "'cuda:1'")]


@pytest.mark.parametrize(("options", "said"), CHOSEN, ids=["devices", "device"])
def test_ray_s_devices_are_not_chosen_one_by_one(invoke: Invoke, options: list[str], said: str) -> None:
    code, _, error = invoke("run", "--executor", "ray", *options)
    assert (code, error.count("\n"), said in error) == (2, 1, True)


def test_without_ray_there_is_a_hint(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "bench.run.ray_executor", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, error = invoke("run", "--executor", "ray")
    assert (code, error) == (2, "error: --executor ray needs Ray, which is not installed: pip install ray\n")
