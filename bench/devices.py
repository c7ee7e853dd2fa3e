"""The chip behind a torch device."""

import torch

from .chips import UNITS, Chip, find_chip


def chip_of(device: torch.device) -> Chip | None:
    """The chip of a GPU: that of its name, or one of what its driver tells; None for a CPU and where it tells nothing.

    The memory moves two bits per pin and clock, as all of them have done since DDR.
    """
    if device.type != "cuda":
        return None
    found = torch.cuda.get_device_properties(device)
    known = find_chip(found.name)
    told = (found.major, found.minor) in UNITS and min(
        found.clock_rate, found.memory_clock_rate, found.memory_bus_width
    ) > 0
    if known is not None or not told:
        return known
    return Chip(
        name=found.name,
        device_name=found.name,
        capability=(found.major, found.minor),
        multiprocessors=found.multi_processor_count,
        clock_ghz=found.clock_rate / 1e6,
        dram_tbps=2 * found.memory_clock_rate * 1e3 * found.memory_bus_width / 8 / 1e12,
        l2_bytes=found.L2_cache_size,
    )
