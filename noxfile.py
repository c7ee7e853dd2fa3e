"""The project's tasks; `nox -l` explains them, and what stands after `--` goes to the command behind a task."""

from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2.9"
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

NO_EVIDENCE = 4
CONSTRAINTS = "constraints.txt"
# The gate's tests. One file to a process, as its tests share what they have measured and compiled; the slowest files
# come first. Three on the gate's two cores, as some wait for other processes.
GATE = (
    *("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder"),
    *("-m", "not timing and not compilations and not extended"),
)
# What the kernels are tried with: Python, torch and Triton.
VERSIONS = (
    ("3.11", "2.11.0", "3.6.0"),
    ("3.11", "2.13.0", "3.6.0"),
    ("3.11", "2.13.0", "3.8.0"),
    ("3.11", "2.13.0", "3.9.0"),
    ("3.11", "2.14.1", "3.8.0"),
    ("3.11", "2.15.0", "3.9.0"),
    ("3.12", "2.13.0", "3.7.1"),
    ("3.13", "2.14.1", "3.8.0"),
    ("3.14", "2.15.0", "3.9.0"),
)
PYPROJECT = nox.project.load_toml("pyproject.toml")
PROJECT = PYPROJECT["project"]
NEEDS = [Requirement(text) for text in PROJECT["dependencies"]]


def needed(*extras: str) -> list[str]:
    """What the project's extras need, those that they name included, without the project itself."""
    found = []
    for text in (text for extra in extras for text in PROJECT["optional-dependencies"][extra]):
        one = Requirement(text)
        found += needed(*sorted(one.extras)) if one.name == PROJECT["name"] else [text]
    return list(dict.fromkeys(found))


def install(session: nox.Session, *extras: str, groups: tuple[str, ...] = (), pins: str = CONSTRAINTS) -> None:
    """Install what the project, its extras and the groups of dependencies need, at the tested versions."""
    packages = [*PROJECT["dependencies"], *needed(*extras), *nox.project.dependency_groups(PYPROJECT, *groups)]
    session.install("--constraint", pins, *packages)


def constraints(session: nox.Session, *pins: str) -> str:
    """A file with the tested versions, those of torch and Triton replaced by the pins."""
    lines = Path(CONSTRAINTS).read_text(encoding="utf-8").splitlines()
    replaced = {*(one.name for one in NEEDS), "setuptools"}  # torch 2.11 takes none from 82 on
    others = [line for line in lines if line.partition("==")[0] not in replaced]
    file = Path(session.create_tmp(), CONSTRAINTS)
    file.write_text("\n".join([*others, *pins]), encoding="utf-8")
    return str(file)


@nox.session
def tests(session: nox.Session) -> None:
    """Prove every implementation correct: the test suite but for slow compilations and the longest tests, no GPU."""
    install(session, "test")
    session.run("python", "-m", "pytest", *GATE, *session.posargs)


@nox.session(default=False)
@nox.parametrize("release", [nox.param(which, id=which) for which in ("oldest", "newest")])
def tests_torch(session: nox.Session, release: str) -> None:
    """Run the tests with the oldest torch that pyproject.toml takes, or the newest: `nox -s "tests_torch(newest)"`."""
    # The oldest is the newest patch of the lower bound's series: ">=2.11" as "==2.11.*".
    oldest = [f"{one.name}{one.specifier}.*".replace(">=", "==") for one in NEEDS] if release == "oldest" else []
    install(session, "test", pins=constraints(session, *oldest))
    session.run("python", "-m", "pytest", *GATE, *session.posargs)


@nox.session(default=False)
def tests_compilations(session: nox.Session) -> None:
    """Compile the kernels for a GPU that is not there, on every core, and hold them to their limits."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-m", "compilations", *session.posargs)


@nox.session(default=False)
def tests_extended(session: nox.Session) -> None:
    """Run the long tests of what shorter ones cover in part: before a release, and each night."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-m", "extended", *session.posargs)


@nox.session(default=False)
@nox.parametrize("python,torch,triton", VERSIONS)
def versions(session: nox.Session, torch: str, triton: str) -> None:
    """Try the kernels with other versions of Python, torch and Triton: interpreted, compiled, in torch.

    `nox -s "versions(python='3.11', torch='2.13.0', triton='3.9.0')"` is one of them; what follows `--` goes to pytest.
    """
    install(session, "test", pins=constraints(session, f"torch=={torch}"))
    # torch's builds for CUDA ask for one version of Triton, without which they run as well.
    session.install("--no-deps", f"triton=={triton}")
    chosen = "not timing and not extended and not gpu"
    session.run("python", "-m", "pytest", "-m", chosen, *(session.posargs or ("tests/kernels", "tests/bench/offline")))


@nox.session(default=False)
def tests_timing(session: nox.Session) -> None:
    """Run the tests that hold a time, on a machine that does nothing else."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-m", "timing", *session.posargs)


@nox.session(default=False)
def tests_gpu(session: nox.Session) -> None:
    """Run the test suite's part that needs a CUDA GPU."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-m", "gpu", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format (ruff)."""
    session.install("--constraint", CONSTRAINTS, *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types (mypy, strict)."""
    install(session, "test", groups=("types",))
    session.run("mypy")


@nox.session(default=False)
def ci(session: nox.Session) -> None:
    """All that `.ci/run` checks, in one environment: lint, types, compilations and tests."""
    for part in (lint, types, tests_compilations, tests):
        part(session)


@nox.session(default=False)
def offline(session: nox.Session) -> None:
    """Compile the kernels for GPUs that are not there: without words after `--`, and hold them to their limits."""
    install(session, "bench")
    session.run("python", "-m", "bench", "offline", *(session.posargs or ("--arch", "sm_90", "--check")))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure a sweep and report it: `nox -s bench -- axes -a k=3,5,7`; the device's own sweep if left out."""
    install(session, "bench")
    session.run("python", "-m", "bench", "run", "--report", *session.posargs)


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """Test, measure and report a GPU in one run within minutes: `nox -s gpu -- --out results/NAME`."""
    install(session, "test")
    session.run("python", "-m", "bench", "gpu", *session.posargs)


@nox.session(default=False)
def learn(session: nox.Session) -> None:
    """Do the article's claims show on a small data set? Trains and reports: `nox -s learn -- --minutes 5`."""
    install(session, "learn")
    session.run("python", "-m", "bench", "learn", "--report", *session.posargs)


@nox.session(default=False)
def gate(session: nox.Session) -> None:
    """Is the working tree slower than BASE? Measures both in turns here: `nox -s gate -- BASE quick -a k=7`.

    The working tree's harness measures BASE's kernels (from a git worktree of it) and its own in the order ABBA, with
    caches that are empty at first. Exit code: 0 nothing worse, 1 a confirmed regression, 2 usage, 3 incorrect results,
    4 not enough evidence. What follows BASE goes to `python -m bench run`; `--turns` and `--tolerance` to the gate.
    """
    install(session, "bench")
    try:
        session.run("python", "-m", "bench", "gate", *session.posargs)
    except nox.command.CommandFailed as failure:
        # nox would exit with 1, a regression, whatever the command said; its reason is "Returned code N".
        code = str(failure.reason).rpartition(" ")[2]
        raise SystemExit(int(code) if code.isdecimal() else NO_EVIDENCE) from None


@nox.session(default=False)
def guard(session: nox.Session) -> None:
    """Time a dozen key cases with pytest-benchmark: `nox -s guard -- --benchmark-save=before`, `--benchmark-compare`.

    Each is checked first, starts from a flushed L2 on a GPU, and ends when the device is done. Records are kept in
    `.benchmarks/`, which git ignores.
    """
    install(session, "test")
    session.run("python", "-m", "pytest", "tests/test_latency.py", "--benchmark-enable", *session.posargs)


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Make the report of a run again: `nox -s report -- reports/runs/NAME`."""
    install(session, "bench")
    session.run("python", "-m", "reports", *session.posargs)
