"""Free memory is what the tightest limit leaves: on made-up machines, containers of both kinds, and a pretended GPU."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from kernels import free_bytes

GIB = 2**30
MEMINFO = {"proc/meminfo": "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"}


def group(folder: str, most: object, used: int, cached: int, names: tuple[str, str, str]) -> dict[str, str]:
    limit, use, inactive = names
    texts = {limit: f"{most}\n", use: f"{used}\n", "memory.stat": f"anon 5\n{inactive} {cached}\nfile 9\n"}
    return {f"{folder}/{name}": text for name, text in texts.items()}


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
MACHINES: Mapping[str, tuple[dict[str, str], int]] = {
    "no container": (MEMINFO, 8 * GIB),
    "a limit above what is available": (
        {**MEMINFO, "proc/self/cgroup": "0::/a\n", **group("sys/fs/cgroup/a", 64 * GIB, GIB, 0, V2)},
        8 * GIB,
    ),
    "version 2, page cache counts as free": (
        {**MEMINFO, "proc/self/cgroup": "0::/a\n", **group("sys/fs/cgroup/a", 4 * GIB, 3 * GIB, 2 * GIB, V2)},
        3 * GIB,
    ),
    "version 2, a group around it is tighter": (
        {
            **MEMINFO,
            "proc/self/cgroup": "0::/a/b\n",
            **group("sys/fs/cgroup/a", 2 * GIB, GIB, 0, V2),
            **group("sys/fs/cgroup/a/b", "max", GIB, 0, V2),
        },
        GIB,
    ),
    "version 2, a path of the host": (
        {**MEMINFO, "proc/self/cgroup": "0::/docker/1\n", **group("sys/fs/cgroup", 5 * GIB, GIB, 0, V2)},
        4 * GIB,
    ),
    "version 1": (
        {
            **MEMINFO,
            "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a\n",
            **group("sys/fs/cgroup/memory/a", 2 * GIB, GIB, GIB // 2, V1),
        },
        3 * GIB // 2,
    ),
    "more used than allowed": (
        {**MEMINFO, "proc/self/cgroup": "0::/a\n", **group("sys/fs/cgroup/a", GIB, 2 * GIB, 0, V2)},
        0,
    ),
}


@pytest.mark.parametrize(("files", "free"), MACHINES.values(), ids=MACHINES.keys())
def test_the_tightest_limit_counts(tmp_path: Path, files: dict[str, str], free: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_bytes("cpu", tmp_path) == free


def test_this_machine_has_some() -> None:
    assert 2**20 < free_bytes("cpu") < 2**50


def test_what_torch_holds_unused_is_free_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "mem_get_info": (3 * GIB, 80 * GIB),
        "memory_reserved": 5 * GIB,
        "memory_allocated": GIB,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert free_bytes("cuda") == 7 * GIB
