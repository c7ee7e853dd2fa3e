"""Shards: a sweep cut into parts that need nothing of one another, as the jobs of a scheduler. Free of torch.

A problem's cases are all in one shard, which a hash of the problem chooses: another sweep's same problem is in the same
shard, on whatever machine.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ShardError
from ..results.columns import PARAMETERS

# What differs among the cases of one problem.
_WITHIN = ("implementation", "kind", "mode", "cache", "torch_compile")
_PROBLEM = tuple(name for name in PARAMETERS if name not in _WITHIN)
_FORMS = "--shard takes I/N, counted from 1, as 2/3; auto, or auto/N"


@dataclass(frozen=True)
class Shard:
    """The part `index` of `count`, counted from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Whether a case is in this part, by its parameters."""
        return int(_digest([parameters[name] for name in _PROBLEM]), 16) % self.count == self.index - 1

    def columns(self) -> dict[str, int]:
        """What environment.json says of it."""
        return asdict(self)


def parse_shard(text: str, variables: Mapping[str, str]) -> Shard:
    """The shard of "i/n"; of "auto" in a Slurm array, of "auto/n" also in a Kubernetes indexed job.

    With "auto/n", tasks are counted from 0, so that a single one may be submitted again.

    Raises:
        ShardError: The text has another form, there is no such part, or no scheduler says which it is.
    """
    found = re.fullmatch(r"(?:(auto)|(\d+))(?:/(\d+))?", text)
    if found is None or (found[2] and not found[3]):
        raise ShardError(f"{_FORMS}; got {text!r}")
    if found[2]:
        return _require(int(found[2]), int(found[3]), text)
    if found[3]:
        return _require(_task(variables) + 1, int(found[3]), text)
    return _whole_array(variables)


def _require(index: int, count: int, text: str) -> Shard:
    if not 1 <= index <= count:
        raise ShardError(f"there is no shard {index} of {count} (--shard {text}): {_FORMS}")
    return Shard(index, count)


def _task(variables: Mapping[str, str]) -> int:
    """The number of this task, from whatever scheduler."""
    for name in ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"):
        if name in variables:
            return _number(name, variables)
    raise ShardError("--shard auto reads SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, and neither is set: give I/N")


def _whole_array(variables: Mapping[str, str]) -> Shard:
    """This task of a Slurm array, all of which is submitted."""
    task, array = _task(variables), "SLURM_ARRAY_TASK_"
    if f"{array}ID" not in variables:
        raise ShardError("JOB_COMPLETION_INDEX says which task this is and not of how many: give --shard auto/N")
    first, last, count = (_number(array + name, variables) for name in ("MIN", "MAX", "COUNT"))
    if last - first + 1 != count or not first <= task <= last:
        raise ShardError(f"the Slurm array has {count} tasks from {first} to {last}, and has to be whole: give auto/N")
    return Shard(task - first + 1, count)


def _number(name: str, variables: Mapping[str, str]) -> int:
    text = variables.get(name, "")
    if not text.isdecimal():
        raise ShardError(f"{name} is {text!r}, and should be the number of a task")
    return int(text)


def describe_sweep(name: str, cases: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What environment.json says of a whole sweep, by its cases' parameters: runs of one sweep can be merged."""
    keys: Sequence[list[Any]] = [[case[name] for name in PARAMETERS] for case in cases]
    return {"name": name, "cases": len(keys), "digest": _digest(sorted(keys, key=json.dumps))[:12]}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
