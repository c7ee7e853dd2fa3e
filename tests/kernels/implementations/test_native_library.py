"""The C++ library's way from source to process: compiled once for a CPU, kept, and refused with a reason."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernels import Problem, resolve, unsupported
from kernels.implementations.native import library
from kernels.implementations.native.library import Unavailable
from tests import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="compilers of Windows are not looked for")

PROBLEM = Problem(batch=1, channels=4, height=5, width=5, kernel_size=3, m=2, padding=1)
# Stands for a compiler: takes a moment, counts its calls, and "compiles" by copying a library that is there.
COMPILER = """#!/bin/sh
if [ "$1" = --version ]; then echo "a compiler of tests"; exit; fi
echo compiled >> "$COUNT"
sleep 0.3
while [ "$1" != -o ]; do shift; done
cp "$LIBRARY" "$2"
"""
ASK = """
import torch
from kernels import Problem, resolve, unsupported
problem = Problem(batch=1, channels=4, height=5, width=5, kernel_size=3, m=2, padding=1)
print(unsupported("native", problem, "cpu"))
print(resolve(problem, "cpu"))
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder, and a process that has not looked for a library yet."""
    built = library._built()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    monkeypatch.setenv("LIBRARY", str(built))
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER, encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    library._loaded.cache_clear()
    return tmp_path


@pytest.fixture(autouse=True)
def _forget() -> object:
    yield
    library._loaded.cache_clear()


def compilations(folder: Path) -> int:
    count = folder / "count"
    return len(count.read_text(encoding="utf-8").splitlines()) if count.exists() else 0


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "local-relation" / "native").iterdir())


def test_it_is_compiled_once_and_kept(fresh: Path) -> None:
    for _ in range(2):
        library._loaded.cache_clear()
        library.load()
    assert compilations(fresh) == 1
    assert len(kept(fresh)) == 1


def test_another_cpu_compiler_or_source_has_a_library_of_its_own(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What one CPU has compiled, another does not load from the same folder, where it might not understand it."""
    library.load()
    monkeypatch.setattr(library, "cpu", lambda: iter(["a CPU of long ago"]))
    library._loaded.cache_clear()
    library.load()
    compiler = fresh / "compiler"
    compiler.write_text(COMPILER.replace("a compiler of tests", "its next version"), encoding="utf-8")
    library._loaded.cache_clear()
    library.load()
    sources = tmp_path / "source"
    shutil.copytree(library.SOURCES, sources)
    (sources / "call.h").write_text("// changed\n", encoding="utf-8")
    monkeypatch.setattr(library, "SOURCES", sources)
    library._loaded.cache_clear()
    library.load()
    assert compilations(fresh) == 4
    assert len(kept(fresh)) == 4


def test_the_cpu_is_told_by_its_instructions() -> None:
    told = " ".join(library.cpu())
    assert "flags" in told or "Features" in told or sys.platform != "linux"


def test_two_processes_at_once(fresh: Path) -> None:
    """Each compiles beside the other and renames; whoever is last, the library is whole."""
    processes = [
        subprocess.Popen([sys.executable, "-c", ASK], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate()[0].split() for process in processes]
    assert [answer[0] for answer in said] == ["None", "None"]
    assert len(kept(fresh)) == 1
    library.load()


REASONS = {
    "no compiler": ({"CXX": "/no/such/compiler"}, "need a compiler, and none was found: /no/such/compiler"),
    "a compiler that fails": ({"CXX": "false"}, "cannot be compiled: .*false --version failed"),
    "a cache that is no folder": ({"XDG_CACHE_HOME": "/dev/null"}, "cannot be kept: "),
}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(("environment", "reason"), REASONS.values(), ids=REASONS.keys())
def test_reasons(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], reason: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match=reason):
        library.load()
    assert unsupported("native", PROBLEM, "cpu") is not None
    assert resolve(PROBLEM, "cpu") != "native"
    assert unsupported("native", PROBLEM, "meta") == "the C++ kernels run on cpu tensors, got meta"


def test_what_the_compiler_says_is_the_reason(fresh: Path) -> None:
    compiler = fresh / "compiler"
    wrong = 'if [ "$1" = --version ]; then echo one; exit; fi\necho "x.h:1: error: no such thing" >&2\nexit 1\n'
    compiler.write_text(f"#!/bin/sh\n{wrong}", encoding="utf-8")
    with pytest.raises(Unavailable, match=r"compiler failed: x\.h:1: error: no such thing"):
        library.load()
    assert kept(fresh) == []


def test_a_damaged_library_is_a_reason(fresh: Path) -> None:
    path = library.folder() / f"{library._key(str(fresh / 'compiler'))}.so"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no library")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        library.load()


def test_without_a_compiler_auto_goes_on(tmp_path: Path) -> None:
    """In a process of its own, from the environment alone."""
    environment = {**os.environ, "CXX": "/no/such/compiler", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    reason, chosen = done.stdout.splitlines()
    assert reason == "the C++ kernels need a compiler, and none was found: /no/such/compiler"
    assert chosen not in ("native", "unfold")


@pytest.mark.skipif(sys.platform != "linux", reason="ldd is Linux's")
def test_threads_are_torchs_own() -> None:
    """A second pool would spin against the first: the library has none, it is handed torch's parallel loop."""
    done = subprocess.run(["ldd", str(library._built())], capture_output=True, text=True, check=True)
    assert "libc" in done.stdout
    assert "omp" not in done.stdout
