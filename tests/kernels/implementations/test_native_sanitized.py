"""The C++ sources under the address and undefined-behaviour sanitizers, with checked containers, on small cases."""

import itertools
import subprocess
from pathlib import Path

import pytest

from kernels.implementations.native import library
from kernels.implementations.native.library import Unavailable

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).with_name("native_driver.cpp")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS", "-O0")
FIELDS = ("batch", "channels", "height", "width", "kernel_size", "m", "stride", "padding", "dilation")
# Sizes (in the order of FIELDS) at every border: of images, windows, vectors, groups, blocks of rows, and of batches.
SIZES = (
    (2, 6, 7, 5, 3, 2, 1, 1, 1),
    (1, 20, 9, 17, 7, 8, 1, 3, 1),
    (2, 9, 17, 8, 7, 8, 1, 3, 1),
    (1, 8, 1, 1, 7, 8, 1, 3, 1),
    (1, 5, 3, 2, 7, 8, 1, 3, 1),
    (0, 8, 5, 5, 3, 8, 1, 1, 1),
    (1, 1, 1, 1, 1, 1, 1, 0, 1),
    (1, 10, 11, 9, 4, 3, 2, 1, 1),
    (1, 4, 19, 25, 5, 4, 3, 2, 1),
    (1, 3, 12, 11, 3, 2, 5, 1, 1),
    (2, 5, 9, 10, 3, 2, 2, 2, 2),
    (1, 3, 4, 3, 3, 3, 1, 5, 5),
    (1, 2, 20, 19, 5, 1, 2, 3, 3),
    (1, 17, 8, 16, 2, 16, 1, 0, 1),
    (1, 4, 13, 13, 13, 4, 1, 6, 1),
)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sanitized program."""
    try:
        compiler = library.find_compiler()
    except Unavailable as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("sanitized")
    empty, path = folder / "empty.cpp", folder / "driver"
    empty.write_text("int main() {}\n", encoding="utf-8")
    probe = subprocess.run([compiler, *SANITIZERS, str(empty), "-o", str(path)], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"{compiler} has no sanitizers: {probe.stderr.decode().strip()}")
    arguments = [flag for flag in library.command(compiler, path, *SANITIZERS) if flag not in ("-shared", "-O3")]
    sources = [str(DRIVER) if flag.endswith("native.cpp") else flag for flag in arguments]
    subprocess.run([*sources, f"-I{library.SOURCES}"], check=True)
    return path


def lines() -> list[str]:
    """Every size with every dtype, and with Φ, padding mode, channel order and layout in turn."""
    options = itertools.cycle(itertools.product(range(3), range(2), range(2), range(3)))
    found = []
    for sizes, dtype, _ in itertools.product(SIZES, range(4), range(3)):
        composability, zeros, strided, layout = next(options)
        found.append(" ".join(map(str, (dtype, composability, zeros, strided, *sizes, layout))))
    return found


def test_no_sanitizer_complains_and_parts_do_not_matter(driver: Path) -> None:
    cases = lines()
    done = subprocess.run([driver], input="\n".join(cases), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert (done.returncode, done.stdout.strip()) == (0, str(len(cases)))


def test_a_fault_is_found(tmp_path: Path) -> None:
    """The same flags on a program that writes one element too many."""
    compiler = library.find_compiler()
    source, path = tmp_path / "fault.cpp", tmp_path / "fault"
    source.write_text("int main(int n, char**) { int* x = new int[n]; x[n] = 1; return x[0]; }\n", encoding="utf-8")
    if subprocess.run([compiler, *SANITIZERS, str(source), "-o", str(path)], check=False).returncode != 0:
        pytest.skip(f"{compiler} has no sanitizers")
    done = subprocess.run([path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
