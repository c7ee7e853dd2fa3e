"""The benchmark suite of the local relation operator: sweeps, timing, memory and the run folder."""

import os
import tempfile
from pathlib import Path

# The checkout, from which the suite runs.
ROOT = Path(__file__).resolve().parents[1]


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
