"""The parts of README and the chapters that a program knows: `python -m tests.docs.generated` writes them anew.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is one of `BLOCKS`.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.case.axes import ALIASES, AXES
from bench.case.sweeps import SWEEPS, expand
from bench.cost.network_counts import DESIGNS, PUBLISHED, Setting, total_count
from bench.cost.yardsticks import YARDSTICKS
from bench.results.columns import TABLE, Column
from kernels import IMPLEMENTATIONS
from tests import ROOT
from tests.docs.markdown import code, table
from tests.docs.sources import PROGRAMS, pages, program, recorded, sessions


def _default(parameter: Any) -> str:
    """What holds if a parameter is not given; nothing where that is an option's absence."""
    value = parameter.default
    if value is None or value is False or value == ():
        return ""
    return code(str(parameter.opts[0] if value is True else getattr(value, "value", value)))


def _command(call: str, command: Any) -> Iterator[str]:
    """A heading, what the command does, and its arguments and options."""
    yield f"### `{call}`"
    yield " ".join(command.help.split())
    rows = []
    for one in command.params:
        argument = one.param_type_name == "argument"
        names = [one.metavar or one.name.upper()] if argument else [*one.opts, *one.secondary_opts]
        rows.append((code(*names), _default(one), one.help))
    yield table(("argument or option", "default", "what it is"), rows)


def commands() -> str:
    """Every command with its options, as `--help` shows them."""
    parts: list[str] = []
    for module in PROGRAMS:
        top = program(module)
        calls = {f"python -m {module} {name}": command for name, command in getattr(top, "commands", {}).items()}
        for call, command in (calls or {f"python -m {module}": top}).items():
            parts.extend(_command(call, command))
    return "\n\n".join(parts)


def tasks() -> str:
    """The sessions of noxfile.py."""
    summaries = {name: (ast.get_docstring(node) or "").splitlines()[0] for name, node in sessions().items()}
    return table(("session", "what it does"), [(f"`nox -s {name}`", text) for name, text in summaries.items()])


def sweeps() -> str:
    """The named sweeps, with how many cases each has on a CPU, whose caches are not flushed, and on a GPU."""
    rows = [
        (f"`{name}`", len(expand(one.on("cpu"), {"cache": ("hot",)})), len(expand(one.on("cuda"), {})), one.summary)
        for name, one in SWEEPS.items()
    ]
    return table(("sweep", "cases on a CPU", "on a GPU", "what it measures"), rows)


def axes() -> str:
    """The axes of a sweep."""
    short = {full: f"`{name}`" for name, full in ALIASES.items()}
    rows = [(f"`{name}`", short.get(name, ""), axis.values, axis.summary) for name, axis in AXES.items()]
    return table(("axis", "short", "values", "what it is"), rows)


def columns() -> str:
    """The columns of results.csv: name, what it holds, meaning, schema version."""
    rows = [(f"`{one.name}`", _holds(one), one.summary, one.since) for one in TABLE.values()]
    return table(("column", "holds", "what it is", "since schema version"), rows)


def _holds(column: Column) -> str:
    kind = column.type
    choices = ", ".join(code(str(choice)) for choice in kind.choices if choice != "")
    return (choices or kind.json) + (", may be empty" if kind.optional or "" in kind.choices else "")


def networks() -> str:
    """Parameters and multiply–adds of each network, beside what was published."""
    rows = []
    for name in DESIGNS:
        count = total_count(name, Setting())
        found = {source: figures[name] for source, figures in PUBLISHED.items() if name in figures}
        texts = [f"{one.parameters_m} M, {one.macs_g} G ({source})" for source, one in found.items()]
        ours = f"{count.parameters / 1e6:.3f} M", f"{count.macs / 1e9:.3f} G"
        rows.append((f"`{name}`", *ours, "; ".join(texts) or "none known"))
    return table(("network", "parameters", "multiply–adds", "published"), rows)


def instructions() -> str:
    """Instructions per tap of the fused kernels at LR-Net-50's stages, in the loop and in all."""
    rows: dict[str, list[str]] = {}
    for one in recorded():
        found = re.fullmatch(r"\w+-(\w+)-k7-m8(-s\d)?-bfloat16-sm_90", one["name"])
        if found:
            counts = (float(one[name]) for name in ("instructions_per_tap", "executed_per_tap"))
            rows.setdefault(found[1].replace("x", "×") + (found[2] or ""), []).append("{:.1f} ({:.1f})".format(*counts))
    return table(("stage", "forward", "query", "key"), [(stage, *cells) for stage, cells in rows.items()])


def _summaries(heading: str, entries: Mapping[str, Any]) -> str:
    return table((heading, "what it is"), [(f"`{name}`", entry.summary) for name, entry in entries.items()])


BLOCKS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "tasks": tasks,
    "sweeps": sweeps,
    "axes": axes,
    "columns": columns,
    "networks": networks,
    "instructions": instructions,
    "implementations": lambda: _summaries("implementation", IMPLEMENTATIONS),
    "yardsticks": lambda: _summaries("yardstick", YARDSTICKS),
}
_PART = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def used(text: str) -> list[str]:
    """The names of the parts that a page has."""
    return _PART.findall(text)


def refreshed(text: str) -> str:
    """A page with its parts made anew."""
    return _PART.sub(lambda found: f"<!-- generated: {found[1]} -->\n\n{BLOCKS[found[1]]()}\n\n<!-- end -->", text)


def main() -> None:
    """Write the parts of every page anew."""
    for name, text in pages().items():
        (ROOT / name).write_text(refreshed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
