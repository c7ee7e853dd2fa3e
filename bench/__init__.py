"""The benchmark suite of the local relation operator: sweeps, timing, memory and the run folder."""

from pathlib import Path

# The checkout, from which the suite runs.
ROOT = Path(__file__).resolve().parents[1]
