"""What the compiler makes of today's kernels: within the limits, and for sm_90 as recorded. No GPU needed.

One test, that compiles in a process for each core: `nox -s tests_compilations`, and not `nox -s tests`.
"""

from importlib.metadata import version

import pytest

pytest.importorskip("triton")

from bench.offline.examine import KernelReport, Task, examine, tasks_of
from bench.offline.limits import RECORD, changes, misses, read_record
from bench.processes import spread

STAGES = (
    "224x224x64-k7-m8-s2-bfloat16",
    "56x56x100-k7-m8-bfloat16",
    "28x28x200-k7-m8-bfloat16",
    "14x14x400-k7-m8-bfloat16",
    "7x7x800-k7-m8-bfloat16",
)
KERNELS = ("forward", "query", "key")
# Every kernel at every stage; at the ends of the axes one each, or the test would take minutes. The others are checked
# by `python -m bench offline --arch sm_90 --check`.
RECORDED = (
    *(f"{kernel}-{stage}-sm_90" for stage in STAGES for kernel in KERNELS),
    "query-28x28x200-k3-m8-bfloat16-sm_90",
    "forward-28x28x200-k13-m8-bfloat16-sm_90",
    "forward-28x28x200-k7-m1-bfloat16-sm_90",
    "key-28x28x200-k7-m32-bfloat16-sm_90",
    "forward-28x28x200-k7-m8-float16-sm_90",
    "key-28x28x200-k7-m8-float32-sm_90",
    "forward-28x28x200-k7-m8-float64-sm_90",
    "query-28x28x200-k7-m8-float64-sm_90",
    "key-28x28x200-k7-m8-float64-sm_90",
)
OTHERS = tuple(
    f"{kernel}-{stage}-{arch}" for arch in ("sm_80", "sm_100", "sm_120") for stage in STAGES for kernel in KERNELS
)
# A busy or slow machine needs longer than the 5 s that a kernel may take to compile.
SLOWER = 3


@pytest.mark.compilations
def test_kernels_keep_to_the_limits_and_to_the_record() -> None:
    triton = version("triton")
    record = read_record(triton)
    if record is None:
        pytest.skip(f"{RECORD.name} has nothing of triton {triton}, whose compiler makes other code")
    tasks = [task for task in tasks_of("sm_80,sm_90,sm_100,sm_120", [], []) if task.name in (*RECORDED, *OTHERS)]
    assert len(tasks) == len(RECORDED) + len(OTHERS)
    assert record.keys() >= set(RECORDED)
    rows = [one.row() for one in reports(tasks)]
    quick = [{**row, "compile_seconds": row["compile_seconds"] / SLOWER} for row in rows]
    assert misses(quick) == {}
    assert changes(rows, record) == {}, "if this is meant: python -m bench offline --arch sm_90 --record"


def reports(tasks: list[Task]) -> list[KernelReport]:
    """What becomes of the tasks; a failure ends the test."""
    found = []
    for index, result in spread(examine, tasks):
        assert isinstance(result, KernelReport), f"{tasks[index].name} does not compile: {result}"
        found.append(result)
    return found
