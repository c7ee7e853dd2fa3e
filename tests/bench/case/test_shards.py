"""Shards: a partition of any sweep, the same everywhere, that takes no problem apart; and what a dry run says."""

from collections import Counter

import pytest

from bench.case.shards import Shard, describe_sweep, parse_shard
from bench.case.sweeps import SWEEPS, expand
from bench.commands.run import time_estimate
from bench.device.timing import Timing
from bench.errors import ShardError
from tests.support.bench_cases import case
from tests.support.in_process import Invoke

GRID = [one.parameters() for one in expand(SWEEPS["grid"], {}, ["unfold", "chunked"])]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shards_are_a_partition_that_takes_no_problem_apart(count: int) -> None:
    parts = [[one for one in GRID if Shard(index, count).holds(one)] for index in range(1, count + 1)]
    assert Counter(str(one) for part in parts for one in part) == Counter(str(one) for one in GRID)
    problems = [
        {(one["kernel_size"], one["m"], one["channels"], one["height"], one["stride"]) for one in part}
        for part in parts
    ]
    assert sum(len(part) for part in problems) == len(set().union(*problems))
    # 1440 problems, so that even the smallest of 8 shards is not far from 180.
    assert min(len(part) for part in problems) > 0.75 * len(GRID) / len({"unfold", "chunked"}) / 2 / count


def test_a_problem_s_shard_does_not_depend_on_the_sweep_or_the_python() -> None:
    # Recorded: a hash that changed would mix the shards of running jobs.
    where = [next(n for n in range(1, 9) if Shard(n, 8).holds(case(m=m).parameters())) for m in range(1, 7)]
    assert where == RECORDED


RECORDED = [2, 2, 6, 2, 2, 5]

SLURM = {f"SLURM_ARRAY_TASK_{name}": text for name, text in {"MIN": "4", "MAX": "7", "COUNT": "4"}.items()}
GIVEN = {
    "written": ("2/3", {}, Shard(2, 3)),
    "a Slurm array": ("auto", {**SLURM, "SLURM_ARRAY_TASK_ID": "5"}, Shard(2, 4)),
    "one task of an array again": ("auto/8", {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "1"}, Shard(6, 8)),
    "an indexed job": ("auto/3", {"JOB_COMPLETION_INDEX": "0"}, Shard(1, 3)),
}


@pytest.mark.parametrize(("text", "variables", "shard"), GIVEN.values(), ids=GIVEN.keys())
def test_a_shard_is_what_was_given(text: str, variables: dict[str, str], shard: Shard) -> None:
    assert parse_shard(text, variables) == shard


WRONG = {
    "beyond the last": ("4/3", {}, "there is no shard 4 of 3"),
    "counted from 0": ("0/3", {}, "there is no shard 0 of 3"),
    "of none": ("0/0", {}, "there is no shard 0 of 0"),
    "no count": ("2", {}, "got '2'"),
    "words": ("a/b", {}, "got 'a/b'"),
    "no scheduler": ("auto", {}, "neither is set"),
    "no scheduler, of three": ("auto/3", {}, "neither is set"),
    "an indexed job's count": ("auto", {"JOB_COMPLETION_INDEX": "0"}, "give --shard auto/N"),
    "a task beyond the count": ("auto/3", {"JOB_COMPLETION_INDEX": "3"}, "there is no shard 4 of 3"),
    "no number": ("auto/3", {"JOB_COMPLETION_INDEX": "x"}, "JOB_COMPLETION_INDEX is 'x'"),
    "an array with gaps": (
        "auto",
        {**SLURM, "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_ID": "4"},
        "has to be whole",
    ),
    "an array without bounds": ("auto", {"SLURM_ARRAY_TASK_ID": "4"}, "SLURM_ARRAY_TASK_MIN is ''"),
}


@pytest.mark.parametrize(("text", "variables", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_shard_is_refused(text: str, variables: dict[str, str], said: str) -> None:
    with pytest.raises(ShardError) as caught:
        parse_shard(text, variables)
    assert said in str(caught.value)


def test_a_sweep_is_known_by_its_cases() -> None:
    ours = [case(m=m).parameters() for m in (1, 2)]
    said = describe_sweep("mine", ours)
    assert {**describe_sweep("mine", ours[::-1]), "name": "mine"} == said == {**said, "name": "mine", "cases": 2}
    assert describe_sweep("mine", ours[:1])["digest"] != said["digest"]
    assert describe_sweep("mine", [ours[0], case(m=3).parameters()])["digest"] != said["digest"]


def test_a_dry_run_shows_the_shard_and_its_cost(invoke: Invoke) -> None:
    shown = [
        invoke("run", "quick", "--device", "cpu", "--dry-run", *shard)
        for shard in ((), ("--shard", "1/2"), ("--shard", "2/2"))
    ]
    assert all((code, error) == (0, "") for code, _, error in shown)
    cases = [sum(" operator " in line for line in out.splitlines()) for _, out, _ in shown]
    assert cases[0] == cases[1] + cases[2] > max(cases[1:])
    assert "estimate for GPUs: " in shown[0][1]


def test_gpu_hours_are_what_the_cases_take() -> None:
    # One case of each of 16 problems: 16 × (1 + 0.1 + 0.7) s on one GPU, two rounds on eight, one on 64.
    said = time_estimate([case("unfold", batch=n) for n in range(1, 17)], Timing(seconds=99.2))
    assert said.startswith("estimate for GPUs: 0.44 GPU-hours; 27 min on 1, 3 min on 8, 2 min on 64.")
