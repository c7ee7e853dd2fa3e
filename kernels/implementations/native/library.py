"""The C++ sources as a shared library: compiled once for a CPU and compiler, kept in the user's cache folder."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch

SOURCES = Path(__file__).parent / "source"
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-Wno-psabi", "-Wno-ignored-attributes")
# For some CPUs, as AMD's, GCC takes apart the multiply–adds of a lone sum, and not those of several side by side, which
# of them a row belongs to depending on where a thread begins: then its bits would depend on the threads.
_X86_FLAGS = ("-march=native", "--param=avoid-fma-max-bits=0")
_COMPILERS = ("c++", "g++", "clang++")
_TIME_LIMIT_S = 600
# What tells a CPU from another in Linux's /proc/cpuinfo, on x86 and on ARM.
_CPU_FIELDS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")
_ARM_FIELDS = ("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features")


class Unavailable(Exception):  # noqa: N818
    """Why there is no library on this machine, as a reason to give to users."""


@dataclass(frozen=True)
class Library:
    """The entry points, which take the address of a call (source/call.h), and torch's parallel loop."""

    forward: Callable[[Any], int]
    backward: Callable[[Any], int]
    parallel_for: int


@cache
def _loaded() -> Library | str:
    try:
        return _open(_built())
    except Unavailable as reason:
        return str(reason)


def load() -> Library:
    """The library of this CPU, compiled if none is kept; what has failed once in a process is not tried again.

    Raises:
        Unavailable: There is no compiler, it fails, the library cannot be kept, or it does not load.
    """
    library = _loaded()
    if isinstance(library, str):
        raise Unavailable(library)
    return library


@cache
def fingerprint() -> str:
    """The hash of the library's file.

    Raises:
        Unavailable: There is no library on this machine.
    """
    return hashlib.sha256(_built().read_bytes()).hexdigest()[:12]


def folder() -> Path:
    """Where libraries are kept, each under the hash of all that went into it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "local-relation" / "native"


def find_compiler() -> str:
    """The C++ compiler: CXX, as everywhere, or the first that is found.

    Raises:
        Unavailable: There is none.
    """
    names = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise Unavailable(f"the C++ kernels need a compiler, and none was found: {' or '.join(names)}")


def command(compiler: str, output: Path, *flags: str) -> list[str]:
    """The compiler's command line for the library."""
    own = _X86_FLAGS if platform.machine() in ("x86_64", "AMD64") else ("-mcpu=native",)
    return [compiler, *FLAGS, *own, *flags, "-shared", "-o", str(output), str(SOURCES / "native.cpp")]


def _built() -> Path:
    compiler = find_compiler()
    try:
        path = folder() / f"{_key(compiler)}.so"
        if not path.exists():
            _build(compiler, path)
    except (OSError, RuntimeError) as error:  # no home, or no right to write there
        raise Unavailable(f"the C++ kernels cannot be kept: {error}") from error
    return path


def _key(compiler: str) -> str:
    """The hash of sources, compiler, command line and CPU: another CPU's library has another name."""
    parts = [_output(compiler, "--version"), *command(compiler, Path()), *cpu(), platform.libc_ver()[1]]
    parts += [part for path in sorted(SOURCES.iterdir()) for part in (path.name, path.read_text(encoding="utf-8"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def cpu() -> Iterator[str]:
    """What tells this CPU from those that may lack some of its instructions."""
    yield platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        lines = listed.read_text(encoding="utf-8").splitlines()
        # Of every core once, as cores may differ.
        yield from sorted({line for line in lines if line.partition(":")[0].strip() in _CPU_FIELDS + _ARM_FIELDS})
    elif platform.system() == "Darwin":
        yield _output("sysctl", "-n", "machdep.cpu.brand_string")
    else:
        yield platform.processor()


def _output(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise Unavailable(f"the C++ kernels cannot be compiled: {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def _build(compiler: str, path: Path) -> None:
    """Compile beside the path and rename, so that two processes at once, or one that is killed, leave it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".so", delete=False) as file:
        partial = Path(file.name)
    try:
        _output_of_build(command(compiler, partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _output_of_build(arguments: list[str]) -> None:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=_TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the C++ kernels were not compiled within {_TIME_LIMIT_S} s by {arguments[0]}") from error
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise Unavailable(f"the C++ kernels cannot be compiled: {arguments[0]} failed: {said}")


def _open(path: Path) -> Library:
    """Load a library and torch's parallel loop, whose threads it shares."""
    try:
        library = ctypes.CDLL(str(path))
        torch_library = ctypes.CDLL(str(_torch_library()))
    except OSError as error:
        raise Unavailable(f"the C++ kernels cannot be loaded: {error}") from error
    if not hasattr(torch_library, "torch_parallel_for"):
        raise Unavailable(f"the C++ kernels need torch_parallel_for, which torch {torch.__version__} lacks")
    address = ctypes.cast(torch_library.torch_parallel_for, ctypes.c_void_p).value or 0
    return Library(library.local_relation_forward, library.local_relation_backward, address)


def _torch_library() -> Path:
    suffix = "dylib" if platform.system() == "Darwin" else "so"
    return Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
