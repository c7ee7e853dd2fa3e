"""The benchmark suite of the local relation operator: sweeps, timing, memory and the run folder."""
