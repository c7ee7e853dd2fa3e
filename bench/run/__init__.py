"""From cases to a run folder: devices, workers, the order of cases, and what is too large."""
