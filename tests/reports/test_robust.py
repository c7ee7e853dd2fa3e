"""Whatever a run folder holds, the command makes a page or tells in one line why not."""

import csv
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.results.columns import COLUMNS, OLDEST_VERSION, SCHEMA_VERSION, STATUSES, Row
from bench.results.folder import csv_lines
from tests.support.report_pages import command
from tests.support.report_rows import MakeRun, case, failed, sweep, table_alone

SEED = 6
ROWS = sweep({"unfold": 1.0, "triton": 9.0}) + [failed("timeout", "späť, took\nlong", m=m) for m in (3, 5)]


def outcome(run: Path) -> str:
    """The page, or the one line that the command ended with."""
    code, _, errors = command(run)
    page = run / "report" / "index.html"
    if code == 0:
        text = page.read_text(encoding="utf-8")
        page.unlink()
        assert text.rstrip().endswith("</html>")
        assert not re.search(r' (d|x|y|width|height)="[^"]*(nan|inf)', text)
        return text
    assert (code, len(errors.splitlines())) == (2, 1), errors
    assert not page.exists()
    return errors


@pytest.mark.usefixtures("undrawn")
def test_run_cut_off_at_any_byte(make_run: MakeRun) -> None:
    table = table_alone(make_run(ROWS))
    whole = table.read_bytes()
    header = whole.index(b"\n")
    for length in [0, 1, header // 2, header, *random.Random(SEED).sample(range(header, len(whole)), 6)]:
        table.write_bytes(whole[:length])
        told = outcome(table.parent)
        assert "</html>" in told or 0 < length < header, told


@pytest.mark.usefixtures("undrawn")
def test_damaged_tables(make_run: MakeRun) -> None:
    table = table_alone(make_run(ROWS))
    whole = table.read_bytes()
    chance = random.Random(SEED)
    for _ in range(5):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'\0\n\r",;\xff-1e9nan')
        table.write_bytes(bytes(damaged))
        outcome(table.parent)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("values", [("nan", "-1", "1e308", "x"), ("inf", "0", "1e-308", "True"), ("9" * 400,)])
def test_odd_numbers_in_every_column(make_run: MakeRun, values: Sequence[str]) -> None:
    table = table_alone(make_run(ROWS))
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for index, name in enumerate(COLUMNS):
        rows[index % len(rows)][name] = values[index % len(values)]
    table.write_text(",".join(COLUMNS) + "\n" + csv_lines(rows), encoding="utf-8")
    assert "</html>" in outcome(table.parent)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "has no environment.json"),
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "schema_version None"),
        ("{}", "schema_version None"),
        ('{"schema_version": "4"}', "schema_version '4'"),
        *((f'{{"schema_version": {version}}}', f"reads {SCHEMA_VERSION}") for version in range(1, OLDEST_VERSION)),
        (f'{{"schema_version": {SCHEMA_VERSION + 1}}}', f"reads {SCHEMA_VERSION}"),
        ("\xff", "is not"),
    ],
)
def test_environment_that_is_none_is_one_line(make_run: MakeRun, text: str | None, told: str) -> None:
    run = make_run(ROWS)
    path = run / "environment.json"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="latin-1")
    assert told in outcome(run)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("odd", [None, "text", [1], {}, {"name": None}, [{"a": [None]}]], ids=repr)
def test_environment_with_odd_values_has_a_page(make_run: MakeRun, odd: Any) -> None:
    names = ("argv", "host", "device", "versions", "settings", "code", "notes", "cases", "started", "doctor", "earlier")
    run = make_run(ROWS)
    (run / "environment.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, **dict.fromkeys(names, odd)}))
    assert "</html>" in outcome(run)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [case(1.0)],
        [failed(status, "why", m=m) for m, status in enumerate(STATUSES, 1)],
        [
            case(1.0),
            case(2.0, m=1),
            case(1.0, batch=4, device="NVIDIA H200"),
            case(2.0, batch=4, m=1, device="NVIDIA H200"),
        ],
        [case(0.0, m=m) for m in (1, 2)] + [case(1e-9, m=4), case(1e9, m=8)],
    ],
    ids=["none", "one", "failures", "devices", "extremes"],
)
def test_unusual_runs_have_a_drawn_page(make_run: MakeRun, rows: list[Row]) -> None:
    assert "</html>" in outcome(make_run(rows))


def grid(count: int) -> list[Row]:
    """Rows of a dense grid, their times with noise."""
    chance = random.Random(SEED)
    rows = []
    for index in range(count):
        rest, name = divmod(index, 5)
        rest, mode = divmod(rest, 2)
        rest, k = divmod(rest, 5)
        rest, m = divmod(rest, 6)
        rest, hw = divmod(rest, 5)
        changes: dict[str, Any] = {
            "implementation": ("unfold", "chunked", "compiled", "flex", "triton")[name],
            "mode": ("forward", "backward")[mode],
            "kernel_size": 3 + 2 * k,
            "m": 2**m,
            "height": 7 * 2**hw,
            "width": 7 * 2**hw,
            "channels": 8 * (rest + 1),
        }
        latency = (3 + 2 * k) ** 2 * 4**hw * (rest + 1) / (name + 1) * chance.lognormvariate(0, 0.2) / 1e3
        lost = chance.random() < 0.05
        rows.append(failed("out_of_memory", "too large", **changes) if lost else case(latency, **changes))
    return rows


def fill(run: Path, rows: list[Row]) -> Path:
    """Write many rows at once: a run folder's own door syncs each of them to the disk."""
    with table_alone(run).open("a", newline="", encoding="utf-8") as file:
        file.write(csv_lines(rows))
    return run


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_long_runs_cost_their_share_of_what_a_hundred_thousand_rows_may(
    make_run: MakeRun, record_property: Callable[[str, object], None]
) -> None:
    run = fill(make_run([]), grid(10_000))
    start = time.perf_counter()
    page = outcome(run)
    seconds = time.perf_counter() - start
    record_property("seconds", round(seconds, 2))
    assert len(page.encode()) < 20e6 / 10
    # Five times the share: the machine may be busy, and a part of the time is the same for every run.
    assert seconds < 5 * 60 / 10
