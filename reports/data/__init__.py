"""A run's rows as tables: parameters, slices, speed-ups, environments."""
