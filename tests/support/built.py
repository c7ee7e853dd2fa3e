"""The wheel and the source distribution: what they are built from, and building them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT


@dataclass(frozen=True)
class Built:
    """The files that were built."""

    sdist: Path
    wheel: Path


def sources() -> list[Path]:
    """The files that git tracks or would track but published runs, relative to the checkout."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", ":!reports/published"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(line) for line in found if (ROOT / line).exists()]


def build(what: str, source: Path, out: Path) -> Path:
    """Have setuptools build a `wheel` or an `sdist` of a folder."""
    program = f"from setuptools import build_meta; print(build_meta.build_{what}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True, text=True)
    return out / done.stdout.splitlines()[-1]
