"""A look inside one case: traces, kernels by time, memory, counters."""
