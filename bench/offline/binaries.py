"""NVIDIA's tools that read a binary, out of Triton's wheel: the disassembler, and the lister of resources."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import UsageError

_DISASSEMBLE = ("nvdisasm", "-c", "-hex")
_RESOURCES = ("cuobjdump", "--dump-resource-usage")


def require_tools() -> None:
    """Nothing, where Triton and the two tools are installed.

    Raises:
        UsageError: Something is missing.
    """
    for name, *_ in (_DISASSEMBLE, _RESOURCES):
        path = _folder() / name
        if not path.is_file():
            raise UsageError(f"{path} does not exist: expected it in triton's wheel, as of PyPI")


def disassemble(cubin: bytes) -> str:
    """The machine code of a binary as text, each instruction with its word."""
    return _output(_DISASSEMBLE, cubin)


def resource_usage(cubin: bytes) -> str:
    """The registers and memory that a binary's kernel takes, as text."""
    return _output(_RESOURCES, cubin)


def _folder() -> Path:
    spec = find_spec("triton")
    if spec is None or spec.origin is None:
        raise UsageError("the package triton is not installed: it has the compiler")
    return Path(spec.origin).parent / "backends" / "nvidia" / "bin"


def _output(command: tuple[str, ...], cubin: bytes) -> str:
    name, *options = command
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        done = subprocess.run([_folder() / name, *options, path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout
