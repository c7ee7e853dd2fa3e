"""The workflows call sessions of noxfile.py that exist, and hold no logic of their own."""

import itertools
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests import ROOT
from tests.docs.sources import sessions

# A GPU's machine may lack it.
yaml = pytest.importorskip("yaml")
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yml"))}
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")


def variants(job: dict[str, Any]) -> list[dict[str, str]]:
    """Each combination of a job's matrix, and those that stand apart."""
    axes = dict(job.get("strategy", {}).get("matrix", {}))
    apart: list[dict[str, str]] = axes.pop("include", [])
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] + apart


def lines(workflow: dict[str, Any]) -> Iterator[str]:
    """What the steps run, in each variant of the matrix; other expressions stay as they are."""
    for job in workflow["jobs"].values():
        for variant, step in itertools.product(variants(job), job["steps"]):
            known = {f"matrix.{name}": value for name, value in variant.items()}
            if "run" in step:
                yield EXPRESSION.sub(lambda found, known=known: known.get(found[1], found[0]), step["run"])  # type: ignore[misc]


def unknown(line: str) -> set[str]:
    """The sessions of a line of nox that noxfile.py has not, parametrised ones by their function's name."""
    words = shlex.split(line)
    ours = itertools.takewhile(lambda word: word != "--", words[words.index("-s") + 1 :])
    return {name for name in ours if re.sub(r"\(\w+\)$", "", name) not in sessions()}


def test_there_are_two() -> None:
    assert list(WORKFLOWS) == ["ci.yml", "gpu.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_session_exists(name: str) -> None:
    called = [line for line in lines(WORKFLOWS[name]) if line.startswith("nox ")]
    assert called
    assert {session for line in called for session in unknown(line)} == set()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_step_has_logic_of_its_own(name: str) -> None:
    for line in lines(WORKFLOWS[name]):
        assert line.startswith(("pip install nox", "nox -s ", "gh pr comment "))
        assert not re.search(r"[|;&\n]", line)


def test_a_change_is_checked_as_it_should_be() -> None:
    (job,) = WORKFLOWS["ci.yml"]["jobs"].values()
    found = {(one["session"], one["python"]) for one in variants(job)}
    both = {(session, python) for session in ("lint", "types", "tests", "offline") for python in ("3.11", "3.14")}
    assert found == both | {("tests_torch(oldest)", "3.11"), ("tests_torch(newest)", "3.14")}


def test_a_gpu_is_used_only_where_a_variable_names_it() -> None:
    (job,) = WORKFLOWS["gpu.yml"]["jobs"].values()
    assert job["if"].startswith("vars.GPU_RUNNER != '' && (")
    assert job["if"].endswith(")")
    assert job["runs-on"] == "${{ vars.GPU_RUNNER }}"
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert [line.split()[2] for line in runs if line.startswith("nox")] == ["tests_gpu", "gpu", "gate"]


def test_a_session_that_is_missing_is_found() -> None:
    assert unknown("nox -s tests lynt 'tests_torch(oldest)' 'tests_jax(oldest)' -- --x") == {
        "lynt",
        "tests_jax(oldest)",
    }
    job = {"strategy": {"matrix": {"s": ["a", "b"]}}, "steps": [{"run": "nox -s ${{ matrix.s }}"}, {"uses": "x"}]}
    assert list(lines({"jobs": {"j": job}})) == ["nox -s a", "nox -s b"]
