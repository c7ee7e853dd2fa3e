"""Replacing a folder: a reader finds all of the new one or all of the old one, and no failing step loses either."""

import os
import threading
from pathlib import Path

import pytest

from reports.errors import OutputError
from reports.replacing import replace_folder, replacement

ENTRIES = ("index.html", "tables")


def fill(folder: Path, text: str) -> None:
    (folder / "tables").mkdir()
    (folder / "tables" / "a.csv").write_text(text)
    (folder / "index.html").write_text(text)


def put(out: Path, text: str) -> None:
    with replacement(out, ENTRIES) as folder:
        fill(folder, text)


def test_reader_sees_whole_folders_only(tmp_path: Path) -> None:
    out = tmp_path / "report"
    texts = [f"{index:05}" * 999 for index in range(50)]
    put(out, texts[0])
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add((out / "index.html").read_text())
            except FileNotFoundError:
                # Between two renames.
                continue

    reader = threading.Thread(target=read)
    reader.start()
    for text in texts:
        put(out, text)
    done.set()
    reader.join()
    assert seen
    assert seen <= set(texts)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_failing_filling_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "report"
    put(out, "old")

    def put_half() -> None:
        with replacement(out, ENTRIES) as folder:
            fill(folder, "half")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        put_half()
    assert (out / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_failing_rename_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    out, steps, rename = tmp_path / "report", iter(range(1, 9)), Path.rename
    put(out, "old")

    def fail(path: Path, target: Path) -> Path:
        if next(steps) == step:
            raise OSError("no renaming")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no renaming"):
        put(out, "new")
    assert (out / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_process_killed_between_the_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, new, rename = tmp_path / "report", tmp_path / ".report.1.partial", Path.rename
    put(out, "old")
    new.mkdir()
    fill(new, "new")

    def die(path: Path, target: Path) -> Path:
        if path == new:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, out)
    monkeypatch.undo()
    texts = {path.name: (path / "index.html").read_text() for path in tmp_path.iterdir()}
    assert texts == {".report.1.partial": "new", ".report.1.partial.old": "old"}
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    put(out, "next")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_a_killed_process_left_is_removed_and_a_running_ones_is_not(tmp_path: Path) -> None:
    stale, running = tmp_path / ".[r].1.partial", tmp_path / ".[r].2.partial"
    for folder in (stale, running):
        folder.mkdir()
    os.utime(stale, (0, 0))
    put(tmp_path / "[r]", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"[r]", running.name}


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"holds notes\.txt"):
        put(tmp_path, "new")
    with pytest.raises(OutputError, match="is a file"):
        put(tmp_path / "notes.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
