"""Every command that the documentation shows exists, with every option and argument that the line gives it.

Lines of `python -m bench run`, `gpu` and `tune` also make a dry run, where that takes moments. Every command of bench
is shown, and its `--help` answers.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import kernels
from bench.__main__ import app
from tests.docs.markdown import code_lines, prose
from tests.docs.sources import PROGRAMS, behind, pages, program, sessions

PAGES = pages()
SCRIPTS = ("tests.docs.generated",)
DRY = ("run", "gpu", "tune")
# Where a run is measured, which a dry run here leaves out, each with a value; and a sweep too large for a test.
PLACES = ("--device", "--devices", "--executor", "--address", "--shard")
LARGE = "grid"
# What click raises for words that it cannot read; typer may bring a click of its own.
USAGE: type[Exception] = typer.BadParameter.__mro__[1]


def shown(text: str) -> Iterator[str]:
    """The commands of a page: those of code blocks, and those in `code`, which may leave out what is required."""
    mentions = [" ".join(code.split()) for code in re.findall(r"`([^`\n]+)`", prose(text))]
    helped = [f"{code} --help" if code.startswith("python") else code for code in mentions]
    command = re.compile(
        r"(?:docker exec \S+ |uv run --with nox )?((?:python3? +-m +\S|(?:nox|local-relation-bench)\b).*)"
    )
    for line in [*code_lines(text), *helped]:
        yield from (found[1] for found in map(command.match, line.split(" && ")) if found)


LINES = sorted({line for text in PAGES.values() for line in shown(text)})
COMMANDS = sorted(program("bench").commands)


def parse(command: Any, name: str, words: list[str]) -> list[str]:
    """The words that click leaves over of a command's, each option checked with its value; raises `USAGE`."""
    try:
        left: list[str] = command.make_context(name, list(words)).args
    except typer.Exit:  # after --help, which comes behind the check of the options
        return []
    return left


def check_module(words: list[str]) -> list[str]:
    """Read the words after `python -m`; those of a command of bench, where it is one."""
    module, *rest = words
    if module in SCRIPTS:
        assert rest in ([], ["--help"]), f"{module} takes no arguments"
        return []
    assert module in PROGRAMS, f"no test knows `python -m {module}`"
    top = program(module)
    if not hasattr(top, "commands"):
        assert parse(top, module, rest) == []
        return []
    if not rest or rest[0] == "COMMAND":
        return []
    assert rest[0] in top.commands, f"`python -m {module}` has no command {rest[0]!r}"
    left = parse(top.commands[rest[0]], rest[0], rest[1:])
    if rest[0] == "gate":
        return check_module(["bench", "run", *left])
    assert left == []
    return rest


def check_installed(words: list[str]) -> list[str]:
    """Read the words after `local-relation-bench`."""
    return check_module(["reports", *words[1:]] if words[:1] == ["report"] else ["bench", *words])


def check_nox(words: list[str], options: object) -> list[str]:
    """Read the words after `nox`; those of the bench command behind the session, where it is one."""
    ours = words[: words.index("--")] if "--" in words else words
    rest = words[len(ours) + 1 :]
    if "-s" not in ours:
        assert ours in ([], ["-l"]), "a line of nox names its sessions with -s"
        return []
    names = [name.partition("(")[0] for name in ours[ours.index("-s") + 1 :]]
    assert names
    assert set(names) <= set(sessions()), f"noxfile.py has no session {set(names) - set(sessions())}"
    assert set(ours[: ours.index("-s")]) <= {"--no-venv", "--no-install", "-R"}
    if not rest:
        return []
    (name,) = names
    command = behind(sessions()[name])
    assert command, f"nothing stands behind {name}"
    if command[0] != "pytest":
        return check_module([*command, *rest])
    for word in rest:
        assert word.startswith("--")
        assert hasattr(options, word[2:].partition("=")[0].replace("-", "_")), f"pytest has no option {word}"
    return []


def dry(words: list[str]) -> list[str]:
    """The words of a dry run on the CPU by one implementation, whatever they say of where a run is measured."""
    gone = {index + step for index, word in enumerate(words) if word in PLACES for step in (0, 1)}
    kept = [word for index, word in enumerate(words) if index not in gone]
    here = [] if kept[0] == "gpu" else ["--device", "cpu"]
    fewer = ["--implementation", "unfold"] if kept[0] == "run" and "--implementation" not in kept else []
    return [*kept, *here, *fewer, *([] if "--dry-run" in kept else ["--dry-run"])]


@pytest.mark.parametrize("line", LINES)
def test_every_command_exists(line: str, pytestconfig: pytest.Config) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "nox":
        found = check_nox(words[1:], pytestconfig.option)
    else:
        found = check_module(words[2:]) if words[0].startswith("python") else check_installed(words[1:])
    if found and found[0] in DRY and LARGE not in found and "--help" not in found:
        result = CliRunner().invoke(app, dry(found))
        assert result.exit_code == 0, result.output
        assert re.search(r"\d+ (cases|problems)", result.output)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_is_shown(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert any(re.match(rf"python -m bench {name}\b", line) for line in LINES)


FAULTS = {
    "an option that is not there": "python -m bench run --fast",
    "a value of another type": "python -m bench run --seconds soon",
    "a command that is not there": "python -m bench walk",
    "a command that is not there in a wheel": "local-relation-bench walk",
    "an option that is not there in a wheel": "local-relation-bench report RUN --fast",
    "a module that is not known": "python -m timeit",
    "too many arguments": "python -m bench list axes sweeps",
    "an axis that is not there": "python -m bench run quick -a colour=red",
    "a sweep that is not there": "python -m bench run slow",
    "an option behind gate": "python -m bench gate main quick --fast",
    "a session that is not there": "nox -s nothing",
    "an option behind a session": "nox -s bench -- axes --fast",
    "an option that pytest lacks": "nox -s guard -- --no-such-option",
}


@pytest.mark.parametrize("line", FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_found(line: str, pytestconfig: pytest.Config) -> None:
    with pytest.raises((AssertionError, USAGE)):
        test_every_command_exists(line, pytestconfig)


def test_lines_are_found_everywhere() -> None:
    text = "`nox -s a`, `noxious`, `python -m b`\n```sh\npython -m c d  # e\npython -m f && nox -l\n```\n\n"
    text += "    python -m g\n"
    blocks = ["python -m c d  # e", "python -m f", "nox -l", "python -m g"]
    assert list(shown(text)) == [*blocks, "nox -s a", "python -m b --help"]


def test_imports_that_are_shown_exist() -> None:
    lines = [line for text in PAGES.values() for line in code_lines(text)]
    names = {
        name.strip()
        for line in lines
        if line.startswith("from local_relation import ")
        for name in line.partition(" import ")[2].split(",")
    }
    assert {"LocalRelation2d", "local_relation"} <= names <= set(kernels.__all__)
