"""Shares of the bound, and yardsticks, which nothing is compared with."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.results import SCHEMA_VERSION, Row
from reports.bounds import bound_pictures, bound_table
from reports.figures import Studio
from reports.fits import fits
from reports.plots import Panel
from reports.rows import load_run
from reports.slices import Group, group_rows, implementations, pool
from reports.speedups import speedups
from reports.style import Value, looks
from reports.tables import short_table
from tests.reports.conftest import MakeRun, case, failed
from tests.reports.test_page import page_of

STAGES = ((64, 224, 2), (100, 56, 1), (200, 28, 1))


def bounded(share: float, bound: str = "issue", **changes: Any) -> Row:
    return case(1.0, bound=bound, bound_fraction=share, **changes)


def beside(latency_ms: float, **changes: Any) -> Row:
    """A yardstick's row."""
    return case(latency_ms, **{"implementation": "conv3x3", "kind": "yardstick", "paper_cost": None, **changes})


def groups_of(make_run: MakeRun, rows: Iterable[Row]) -> list[Group]:
    return group_rows(pool([load_run(make_run(rows), "run")]))


def stages(**changes: Any) -> list[Row]:
    points: list[dict[str, Any]] = [{"channels": c, "height": h, "width": h, "stride": s} for c, h, s in STAGES]
    return [bounded(0.5 + index / 10, **point, **changes) for index, point in enumerate(points)]


def test_shares_in_numbers(make_run: MakeRun) -> None:
    rows = [bounded(0.4), bounded(0.9, "memory", m=1), case(1.0, m=2), failed("error", "no", m=4)]
    rows += [bounded(1.25, implementation="triton")]
    unfold, triton = bound_table(pool([load_run(make_run(rows), "run")])).frame.to_dict("records")
    assert (unfold["cases"], unfold["least"], unfold["most"]) == (2, 0.4, 0.9)
    assert unfold["mean"] == pytest.approx(0.6)
    assert unfold["bounds"] == "issue 1, memory 1"
    assert (triton["implementation"], triton["most"]) == ("triton", 1.25)


def test_shares_are_drawn_along_axes_and_by_problem_with_the_bound_named(make_run: MakeRun) -> None:
    rows = [*stages(), bounded(0.8, "memory", channels=200, kernel_size=3), bounded(1.5, channels=200, m=1)]
    rows += [{**row, "implementation": "copy", "kind": "yardstick", "bound": "memory"} for row in rows]
    run = make_run(rows)
    page = page_of(run)
    assert (run / "report" / "plots" / "bound_operator_forward.png").exists()
    alt = next(line for line in page.splitlines() if 'alt="Share of the bound, forward' in line)
    assert "unfold 0.5 at 64×224² s2 to 0.7 at 200×28²" in alt
    assert "along kernel_size" in alt
    assert "unfold 1.5 at 1 to 0.7 at 8" in alt
    assert "copy" not in alt


def test_the_bound_under_a_point_is_that_of_its_mode(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [bounded(0.5, "issue", m=m) for m in (1, 8)]
    rows += [bounded(0.5, "memory" if m == 1 else "exp", m=m, mode="backward") for m in (1, 8)]
    drawn: dict[str, dict[Value, str]] = {}

    def record(_: Studio, parts: Sequence[str], __: str, ___: str, panels: Sequence[Panel]) -> None:
        drawn[parts[-1]] = dict(panels[0].below)

    monkeypatch.setattr(Studio, "picture", record)
    bound_pictures(groups_of(make_run, rows), Studio({}, tmp_path, several_places=False))
    assert drawn == {"forward": {1: "issue", 8: "issue"}, "backward": {1: "memory", 8: "exp"}}


def test_without_a_bound_there_is_a_hint(make_run: MakeRun) -> None:
    page = page_of(make_run([case(1.0), case(2.0, m=1)]))
    section = page[page.index('id="bounds"') : page.index('id="cost"')]
    assert "No case has a bound" in section
    assert "python -m bench run stages" in section
    assert "<img" not in section


def test_yardsticks_have_no_part_in_means_and_fits(make_run: MakeRun) -> None:
    rows = [case(8.0), case(2.0, implementation="triton"), beside(0.01), beside(0.02, m=1)]
    cases = pool([load_run(make_run(rows), "run")])
    assert list(speedups(implementations(cases))["implementation"]) == ["triton"]
    assert {fit.implementation for fit in fits(group_rows(cases))} == {"unfold", "triton"}
    table = short_table(cases).frame
    assert table.loc[table["kind"] == "yardstick", "speedup"].isna().all()
    run = make_run(rows, "paged")
    page = page_of(run)
    assert "triton is the fastest at 4× unfold" in page
    assert "conv3x3" not in (run / "report" / "tables" / "memory.md").read_text(encoding="utf-8")


def test_yardsticks_are_drawn_as_other_functions(make_run: MakeRun) -> None:
    rows = [row for m in (1, 8) for row in (case(8.0, m=m), beside(0.5, m=m), beside(0.25, m=m, implementation="copy"))]
    page = page_of(make_run(rows))
    assert "conv3x3 0.5" in page
    assert "Dashed grey: yardsticks, which are other functions than the layer." in page
    chosen = looks(["unfold", "conv3x3", "copy"], ["copy", "conv3x3"])
    assert {chosen[name].line for name in ("conv3x3", "copy")} == {"--"}
    assert chosen["conv3x3"].colour == chosen["copy"].colour != chosen["unfold"].colour
    assert chosen["conv3x3"].marker != chosen["copy"].marker
    assert all("yardstick" in chosen[name].note for name in ("conv3x3", "copy"))


def test_settings_are_never_mixed(make_run: MakeRun) -> None:
    rows = []
    for dtype, cache, speed in (("float32", "cold", 2), ("float32", "hot", 3), ("bfloat16", "cold", 8)):
        setting = {"dtype": dtype, "cache": cache}
        rows += [case(1.0 * c, channels=c, **setting) for c in (16, 32, 64)]
        rows += [case(1.0 * c / speed, channels=c, implementation="triton", **setting) for c in (16, 32, 64)]
    run = make_run(rows)
    page = page_of(run)
    for words, speed in (("float32, cold", 2), ("float32, hot", 3), ("bfloat16, cold", 8)):
        assert f"Operator, forward, {words}: triton is the fastest at {speed}× unfold" in page
    names = {path.name for path in (run / "report" / "plots").glob("cost*.png")}
    assert names == {f"cost_operator_{name}.png" for name in ("float32-cold", "float32-hot", "bfloat16-cold")}
    found = fits(group_rows(pool([load_run(run, "run")])))
    assert {(fit.setting, len(fit.points)) for fit in found} == {
        ("bfloat16, cold", 3),
        ("float32, cold", 3),
        ("float32, hot", 3),
    }


def test_stages_beside_axes_have_figures_of_their_own(make_run: MakeRun) -> None:
    rows = stages() + stages(dtype="bfloat16")
    rows += [bounded(0.5, channels=200, kernel_size=3), bounded(0.5, channels=200, m=1)]
    run = make_run(rows)
    page_of(run)
    assert {path.name for path in (run / "report" / "plots").glob("problems*.png")} == {
        "problems_operator_float32-hot_forward.png",
        "problems_operator_bfloat16-hot_forward.png",
    }


def test_runs_from_before_the_columns_are_read(make_run: MakeRun) -> None:
    lost = ("kind", "cache", "bound", "bound_fraction")
    for name, device, cache in (("cpu", "cpu", "hot"), ("gpu", "cuda", "cold")):
        run = make_run([case(1.0)], name, {"device": {"type": device}})
        lines = [line.split(",") for line in (run / "results.csv").read_text(encoding="utf-8").splitlines()]
        keep = [index for index, column in enumerate(lines[0]) if column not in lost]
        text = "".join(",".join(line[index] for index in keep) + "\n" for line in lines)
        (run / "results.csv").write_text(text, encoding="utf-8")
        assert "lacks 4 columns" in load_run(run, "run").warnings[0]
        environment = (run / "environment.json").read_text(encoding="utf-8")
        (run / "environment.json").write_text(
            environment.replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 1')
        )
        read = load_run(run, "run")
        assert read.warnings == []
        assert (read.rows["kind"][0], read.rows["cache"][0]) == ("implementation", cache)
