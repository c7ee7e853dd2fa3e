"""Memory that is free on a device, by whoever limits it first: the container, the machine, the driver and torch."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

_ROOT = Path("/")
# Where control groups are mounted, and what their files are called: the limit, the use, and the page cache that the
# kernel drops before it runs out.
_VERSIONS = {
    "v2": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "v1": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def free_bytes(device: torch.device | str, root: Path = _ROOT) -> int:
    """Bytes that this process may still take on a device.

    On a CPU the least of what the machine has available and of what every control group, this process's own and those
    around it, leaves under its limit. On a GPU what the driver has free and what torch's allocator holds unused.

    Args:
        device: "cpu" or "cuda".
        root: Where proc and sys are mounted.
    """
    device = torch.device(device)
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + int(held)
    return min([_available(root), *_left_in_groups(root)])


def _available(root: Path) -> int:
    """What the kernel expects that programs can take without swapping; free pages where it does not say."""
    path = root / "proc/meminfo"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return 1024 * int(found) if found is not None else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each control group with a limit leaves, not below 0."""
    path = root / "proc/self/cgroup"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        _, controllers, group = line.split(":", 2)
        version = "v2" if not controllers else "v1" if "memory" in controllers.split(",") else None
        if version is None:
            continue
        mount, limit, use, cached = _VERSIONS[version]
        # In a container the group's path may be the host's, of which only the mount itself is seen.
        for place in (root / mount / group.lstrip("/"), *(root / mount / group.lstrip("/")).parents):
            if place.is_relative_to(root / mount) and (place / limit).exists() and (place / use).exists():
                most = (place / limit).read_text(encoding="ascii").strip()
                if most.isdecimal():  # else "max"
                    taken = int((place / use).read_text(encoding="ascii")) - _count(place / "memory.stat", cached)
                    yield max(0, int(most) - taken)


def _count(path: Path, name: str) -> int:
    """A number of a file of names and numbers, 0 where it has none."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)
