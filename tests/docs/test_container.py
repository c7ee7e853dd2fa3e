"""The Dockerfile copies files that are there, calls sessions that are there, and leaves out nothing that git tracks."""

import json
import re
import subprocess

from tests import ROOT
from tests.docs.sources import sessions

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
INSTRUCTIONS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def told(instruction: str) -> list[str]:
    """What stands behind each of an instruction's occurrences."""
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def test_it_stands_on_a_pinned_cuda_base() -> None:
    (base,) = told("FROM")
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-base-ubuntu\d+\.\d+", base)


def test_what_it_copies_is_there() -> None:
    names = [name for line in told("COPY") for name in line.split()[:-1]]
    assert [name for name in names if not (ROOT / name).exists()] == []
    # What noxfile.py reads has to be there when the environment is made.
    assert {"pyproject.toml", "constraints.txt", "noxfile.py"} <= set(names)


def test_the_sessions_that_it_calls_are_there() -> None:
    (command,) = map(json.loads, told("CMD"))
    called = re.findall(r"nox (?:--?\S+ )*-s (\S+)", " ".join([*told("RUN"), *command]))
    assert called == ["gpu", "gpu"]
    assert set(called) <= set(sessions())
    assert told("ENV") == ["PATH=/local-relation/.nox/gpu/bin:/opt/nox/bin:$PATH"]
    assert told("WORKDIR") == ["/local-relation"]


def test_nothing_that_git_tracks_is_left_out() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    left_out = [line for line in lines if line and not line.startswith("#")]
    listed = ["git", "ls-files", "--cached", "--ignored", *(f"--exclude={one}" for one in left_out)]
    tracked = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert (len(left_out), tracked) == (11, [])
