"""A page on the runs in a folder, by device: what each one says in short, and where its report and its files are."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RunFolderError
from bench.results.folder import replace_text

from .data.environments import command_of
from .data.rows import ReportedRun, load_run
from .learning.claims import claims
from .learning.page import TABLE, load, sentences
from .pages.html import index_page
from .sections import verdict
from .sections.material import material_of
from .style import counted

_LINKS = {
    "Report": "report/index.html",
    "Report as Markdown": "report/report.md",
    "Rows": "results.csv",
    "Environment": "environment.json",
}
_LEARNING_LINKS = {
    "Report as Markdown": "report/learning.md",
    "Rows": TABLE,
    "Environment": "environment.json",
}


@dataclass(frozen=True)
class Entry:
    """A run on the page: facts by name, the verdict's sentences, and links that lead to files that are there."""

    name: str
    device: str
    facts: dict[str, str]
    paragraphs: Sequence[str]
    links: dict[str, str]
    started: str


def write_index(folder: Path) -> Path:
    """Write `folder`/index.html, a device after the other, and of each the newest run first.

    Raises:
        RunFolderError: The folder holds no run, or one that cannot be read.
    """
    paths = sorted(path.parent for path in folder.glob("*/environment.json"))
    if not paths:
        raise RunFolderError(f"{folder} holds no run folders")
    # A learning run has a table, a page and verdicts of its own.
    entries = [
        _learning_entry(path) if (path / TABLE).is_file() else _entry(load_run(path, path.name)) for path in paths
    ]
    page = folder / "index.html"
    devices: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.started, reverse=True):
        devices.setdefault(entry.device, []).append(entry)
    replace_text(page, index_page(dict(sorted(devices.items(), key=lambda item: item[0].casefold()))))
    return page


def _entry(run: ReportedRun) -> Entry:
    statuses = Counter(run.rows["status"])
    started = str(run.environment.get("started", ""))
    device = "; ".join(sorted(run.rows["device"].unique())) or "no device"
    facts = {
        "Measured": started[:10] or "date not kept",
        "Versions": ", ".join(f"{name} {version}" for name, version in _versions(run).items()) or "not kept",
        "Cases": ", ".join(f"{count} {status}" for status, count in statuses.most_common()) or "none",
        "Command": f"`{command_of(run)}`",
    }
    links = {text: f"{run.path.name}/{file}" for text, file in _LINKS.items() if (run.path / file).is_file()}
    return Entry(run.name, device, facts, verdict.section(material_of([run])).paragraphs, links, started)


def _learning_entry(path: Path) -> Entry:
    run = load(path)
    started = str(run.environment.get("started", ""))
    facts = {
        "Trained": started[:10] or "date not kept",
        "Trainings": counted(len(run.rows), "training"),
        "Command": f"`{shlex.join(run.environment.get('argv', []))}`",
    }
    links = {text: f"{path.name}/{file}" for text, file in _LEARNING_LINKS.items() if (path / file).is_file()}
    device = str(run.environment.get("host", {}).get("cpu") or "cpu")
    return Entry(
        run.name, device, facts, [text.replace("**", "") for text in sentences(claims(run.rows))], links, started
    )


def _versions(run: ReportedRun) -> dict[str, Any]:
    versions = run.environment.get("versions")
    found = versions if isinstance(versions, dict) else {}
    return {name: found[name] for name in ("torch", "triton", "cuda", "python") if found.get(name)}
