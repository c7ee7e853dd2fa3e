"""A page on the runs in a folder: what each one says in short, and where its report and its files are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.results import RunFolderError, replace_text
from reports import verdict
from reports.contents import view_of
from reports.environments import command_of
from reports.html import index_page
from reports.rows import Run, load_run

_LINKS = {
    "Report": "report/index.html",
    "Report as Markdown": "report/report.md",
    "Rows": "results.csv",
    "Environment": "environment.json",
}


@dataclass(frozen=True)
class Entry:
    """A run on the page: facts by name, the verdict's sentences, and links that lead to files that are there."""

    name: str
    facts: dict[str, str]
    paragraphs: Sequence[str]
    links: dict[str, str]


def write_index(folder: Path) -> Path:
    """Write `folder`/index.html, the newest run first.

    Raises:
        RunFolderError: The folder holds no run, or one that cannot be read.
    """
    paths = sorted(path.parent for path in folder.glob("*/environment.json"))
    if not paths:
        raise RunFolderError(f"{folder} holds no run folders")
    runs = sorted((load_run(path, path.name) for path in paths), key=_started, reverse=True)
    page = folder / "index.html"
    replace_text(page, index_page([_entry(run) for run in runs]))
    return page


def _started(run: Run) -> str:
    return str(run.environment.get("started", ""))


def _entry(run: Run) -> Entry:
    statuses = Counter(run.rows["status"])
    facts = {
        "Measured": _started(run)[:10] or "date not kept",
        "Device": "; ".join(sorted(run.rows["device"].unique())) or "none",
        "Versions": ", ".join(f"{name} {version}" for name, version in _versions(run).items()) or "not kept",
        "Cases": ", ".join(f"{count} {status}" for status, count in statuses.most_common()) or "none",
        "Command": f"`{command_of(run)}`",
    }
    links = {text: f"{run.path.name}/{file}" for text, file in _LINKS.items() if (run.path / file).is_file()}
    return Entry(run.name, facts, verdict.section(view_of([run])).paragraphs, links)


def _versions(run: Run) -> dict[str, Any]:
    versions = run.environment.get("versions")
    found = versions if isinstance(versions, dict) else {}
    return {name: found[name] for name in ("torch", "triton", "cuda", "python") if found.get(name)}
