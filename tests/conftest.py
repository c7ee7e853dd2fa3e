"""What all tests share. What is read when torch and Triton are imported comes first of all."""

import gc
import os
import sys
from collections.abc import Iterator

# Processes of tests run side by side, on small problems: with two threads each they would wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support.order import by_cost  # noqa: E402  its asserts are rewritten


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """What a test pretended about devices and settings is not kept for the next one's calls."""
    yield
    if "kernels.plain" in sys.modules:
        sys.modules["kernels.plain"].forget()


@pytest.fixture(autouse=True, scope="session")
def nothing_waits_for_the_disk() -> Iterator[None]:
    """What tests write need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="module")
def what_is_loaded_is_no_garbage() -> None:
    """What is loaded is looked through once a file, and not each time a case that is measured collects garbage."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The gate asks for a browser, so that no test of a page is skipped there."""
    parser.addoption("--browser-required", action="store_true", help="fail instead of skip where there is no Chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, and skip what needs a GPU where there is none."""
    items.sort(key=lambda item: by_cost(item.nodeid))
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture
def threads() -> Iterator[int]:
    """A test about threads, or about time, has one for each core, and at least two."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(2, os.cpu_count() or 2))
    yield torch.get_num_threads()
    torch.set_num_threads(before)
