"""The benchmark suite of the local relation operator: sweeps, timing, memory and the run folder."""

import os
import sys
import tempfile
from pathlib import Path

# From a wheel the suite is local_relation.bench, and its neighbours are in local_relation; in a checkout, beside it.
_WITHIN = __name__.removesuffix("bench")
INSTALLED = bool(_WITHIN)
# Where Python finds the suite: the checkout, or the folder that the wheel was installed into.
ROOT = Path(__file__).resolve().parents[__name__.count(".") + 1]
# The folders there whose sources decide what is measured.
SOURCES = (_WITHIN.rstrip("."),) if INSTALLED else ("bench", "kernels")
# Where runs go unless told otherwise, of the folder that a command is called in.
RUNS = Path("runs") if INSTALLED else Path("reports", "runs")
# And what is published of them.
PUBLISHED = Path("published") if INSTALLED else Path("reports", "published")
# The commands as a user types them: the suite's, and the reports'.
WORDS = ("local-relation-bench",) if INSTALLED else ("python", "-m", "bench")
SUITE = " ".join(WORDS)
REPORTS = f"{SUITE} report" if INSTALLED else "python -m reports"


def module_command(name: str) -> tuple[str, ...]:
    """The command that runs a module of ours, by its name in a checkout, as a process with the folder `ROOT`."""
    # Of packages that are installed none is to hide one of Python's own.
    safely = ("-P",) if INSTALLED else ()
    return (sys.executable, *safely, "-m", f"{_WITHIN}{name}")


def triton_cache() -> Path:
    """The folder in which Triton keeps what it compiles, by its own rule; one for temporary files without a home."""
    try:
        home = Path(os.environ.get("TRITON_HOME") or Path.home())
    except RuntimeError:
        home = Path(tempfile.gettempdir(), f"triton-{os.getuid()}")
    return home / ".triton" / "cache"


# In every process of the suite, before anything is compiled: torch's compiler sets it to a folder of its own where it
# is not set, at its first kernel, and what was compiled ahead would not be found after that.
os.environ.setdefault("TRITON_CACHE_DIR", str(triton_cache()))
