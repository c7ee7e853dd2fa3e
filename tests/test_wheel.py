"""The wheel holds the kernels alone, under the name local_relation, and works away from the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from kernels import local_relation
from tests import ROOT

pytestmark = pytest.mark.slow

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "kernels")
PROGRAM = """
import sys
import torch
import local_relation
inputs = torch.load("inputs.pt")
output = local_relation.local_relation(*inputs, kernel_size=3, m=2, implementation="unfold")
torch.save(output, "output.pt")
print(local_relation.__file__)
print("kernels" in sys.modules)
modules = [entry.module.__name__ for entry in local_relation.IMPLEMENTATIONS.values()]
print(all(name.startswith("local_relation.") for name in modules))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from a copy of the source, so that the checkout gets no build folder."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
    ]
    subprocess.run([*pip, str(built), str(source)], check=True, capture_output=True)
    (path,) = built.glob("*.whl")
    return path


def test_it_holds_the_kernels_alone(wheel: Path) -> None:
    kernels = ROOT / "kernels"
    paths = [
        *kernels.rglob("*.py"),
        kernels / "py.typed",
        *(kernels / "implementations" / "native" / "source").iterdir(),
    ]
    sources = {f"local_relation/{path.relative_to(kernels).as_posix()}" for path in paths}
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert wheel.name.startswith("local_relation-")
    assert files == sources


def test_it_computes_the_same_elsewhere(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 2, 5, 4), (1, 2, 5, 4), (1, 4, 5, 4), (2, 3, 3))
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    torch.save(inputs, tmp_path / "inputs.pt")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True, capture_output=True, text=True)
    place, leaked, renamed = done.stdout.split()
    assert Path(place).parent == tmp_path / "local_relation"
    assert (leaked, renamed) == ("False", "True")
    expected = local_relation(*inputs, kernel_size=3, m=2, implementation="unfold")
    assert torch.equal(torch.load(tmp_path / "output.pt"), expected)
