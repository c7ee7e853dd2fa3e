"""Which imports the build gives another name, and which it refuses."""

import runpy
from collections.abc import Callable
from typing import Any

import pytest

from tests import ROOT

# A GPU's machine may lack it.
setuptools = pytest.importorskip("setuptools")
errors = pytest.importorskip("setuptools.errors")
SETUP: dict[str, Any] = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
renamed: Callable[[str, str], str] = SETUP["renamed"]

KEPT = '''"""é: from kernels import x"""
import kernelsmith
from . import kernels
from .bench import y
from benchmarks import z
text = "from bench import y"  # from reports import page
'''


def test_imports_of_ours_get_the_name_that_they_have_there() -> None:
    source = "from kernels import a, b\ndef f():\n    é = 1\n    from bench.errors import E  # é\n"
    source += "    from reports import (\n        kernels,\n    )\n"
    assert renamed(source, "x.py").splitlines() == [
        "from local_relation import a, b",
        "def f():",
        "    é = 1",
        "    from local_relation.bench.errors import E  # é",
        "    from local_relation.reports import (",
        "        kernels,",
        "    )",
    ]


def test_all_else_stays() -> None:
    assert renamed(KEPT, "x.py") == KEPT


@pytest.mark.parametrize("source", ["import kernels", "import os, bench.errors as e", "x = 1; from bench import y"])
def test_what_cannot_be_renamed_ends_the_build(source: str) -> None:
    with pytest.raises(errors.SetupError, match=r"^x\.py:1: expected "):
        renamed(source, "x.py")


def test_an_editable_install_is_refused() -> None:
    build = SETUP["BuildRenamed"](setuptools.Distribution())
    build.editable_mode = True
    with pytest.raises(errors.SetupError, match=r"^an editable install is not possible"):
        build.run()
