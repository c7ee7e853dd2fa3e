"""Replacing a folder: all of the new one or all of the old one, at every moment."""

import os
import threading
from pathlib import Path

import pytest

from reports.folder import OutputError, replace_folder

ENTRIES = ("index.html", "tables")


def fill(folder: Path, text: str) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / "a.csv").write_text(text)
    (folder / "index.html").write_text(text)


def test_reader_sees_whole_folders_only(tmp_path: Path) -> None:
    out = tmp_path / "report"
    replace_folder(out, ENTRIES, lambda folder: fill(folder, "first" * 999))
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add((out / "index.html").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(50):
        replace_folder(out, ENTRIES, lambda folder, index=index: fill(folder, f"{index:05}" * 999))  # type: ignore[misc]
    done.set()
    reader.join()
    assert seen <= {"first" * 999, *(f"{index:05}" * 999 for index in range(50))}
    assert os.listdir(tmp_path) == ["report"]  # noqa: PTH208


def test_without_an_exchange_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report"
    monkeypatch.setattr("reports.folder.ctypes.CDLL", lambda _: object())
    for text in ("old", "new"):
        replace_folder(out, ENTRIES, lambda folder, text=text: fill(folder, text))  # type: ignore[misc]
    assert (out / "index.html").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "report"
    replace_folder(out, ENTRIES, lambda folder: fill(folder, "old"))

    def fail(folder: Path) -> None:
        fill(folder, "half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        replace_folder(out, ENTRIES, fail)
    assert (out / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_a_killed_process_left_is_removed_and_a_running_ones_is_not(tmp_path: Path) -> None:
    stale, running = tmp_path / ".[r].1.partial", tmp_path / ".[r].2.partial"
    for folder in (stale, running):
        folder.mkdir()
    os.utime(stale, (0, 0))
    replace_folder(tmp_path / "[r]", ENTRIES, lambda folder: fill(folder, "new"))
    assert {path.name for path in tmp_path.iterdir()} == {"[r]", running.name}


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"holds notes\.txt"):
        replace_folder(tmp_path, ENTRIES, lambda folder: fill(folder, "new"))
    with pytest.raises(OutputError, match="is a file"):
        replace_folder(tmp_path / "notes.txt", ENTRIES, lambda folder: fill(folder, "new"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
