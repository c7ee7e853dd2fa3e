"""The first screen: facts, trust, numbers, the picture and surprises, of runs whose answers are known."""

import pandas as pd
import pytest

from reports.data.rows import load_run
from reports.opening.facts import facts, marks, title
from reports.opening.hero import hero
from reports.opening.opening import opening
from reports.opening.surprises import surprises
from reports.opening.tiles import tiles
from reports.sections.material import Material, material_of
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed
from tests.support.report_sections import material_from


def winning(make_run: MakeRun) -> Material:
    """triton wins at k 3 and 5, loses at 9; a copy beside it; chunked is nowhere."""
    times = {3: (4.0, 2.0), 5: (4.0, 1.0), 9: (4.0, 8.0)}
    rows = [case(slow, kernel_size=k, peak_mib=100) for k, (slow, _) in times.items()]
    rows += [case(fast, kernel_size=k, implementation="triton", peak_mib=25) for k, (_, fast) in times.items()]
    rows += [case(0.5, kernel_size=3, implementation="copy", kind="yardstick")]
    rows += [failed("unsupported", "no", kernel_size=3, implementation="chunked")]
    return material_from(make_run, rows)


def test_numbers_are_of_the_usual_winner(make_run: MakeRun) -> None:
    found = [(tile.number, tile.section, tile.implementation) for tile in tiles(winning(make_run))]
    # (2 · 4 · 1/2)^(1/3), and a quarter of the memory.
    assert found == [("triton", "verdict", "triton"), ("1.59×", "map", "triton"), ("75%", "memory", "triton")]


def test_picture_has_every_problems_ratio(make_run: MakeRun) -> None:
    figure = hero(winning(make_run))
    assert figure is not None
    ratios = figure.data.set_index(["implementation", "problem"])["ratio"].to_dict()
    assert ratios == {
        ("triton", "kernel size 3"): 2,
        ("triton", "kernel size 5"): 4,
        ("triton", "kernel size 9"): 0.5,
        ("copy", "kernel size 3"): 8,
    }
    # Yardsticks stand below, however fast.
    assert list(figure.data["implementation"].unique()) == ["triton", "copy"]


def test_surprises_are_losses_and_failures(make_run: MakeRun) -> None:
    assert surprises(winning(make_run)) == [
        "triton loses to unfold at kernel size 9 (operator, forward, by 2×).",
        "chunked was measured in none of its 1 case (unsupported: no).",
    ]


def test_picture_of_a_gpu_is_its_share_of_the_bound(gpu: Material) -> None:
    figure = hero(gpu)
    assert figure is not None
    assert figure.title == "Share of the bound by stage (operator, bfloat16, cold)"
    stage = figure.data[(figure.data["x"] == "400×14²") & (figure.data["panel"] == "forward")].set_index("line")["y"]
    rows = gpu.cases[(gpu.cases["scope"] == "operator") & (gpu.cases["dtype"] == "bfloat16")]
    rows = rows[(rows["cache"] == "cold") & (rows["mode"] == "forward") & (rows["channels"] == 400)]
    (own,) = pd.to_numeric(rows.loc[rows["implementation"] == "triton", "bound_fraction"])
    assert stage["triton"] == pytest.approx(100 * own)
    # It takes three tenths of triton's time.
    assert stage["conv3x3"] == pytest.approx(100 * own / 0.3)
    assert "copy" not in stage


def test_first_screen_of_a_gpu(gpu: Material) -> None:
    found = opening(gpu)
    assert title(gpu) == "Local relation layer on NVIDIA H200"
    assert list(found.facts) == [
        "gpu · 2026-11-22 · commit 01234567 · torch 2.11.0, triton 3.6.0, cuda 12.9, python 3.12.1"
    ]
    assert [(mark.text, mark.warning) for mark in found.marks] == [("quiet, ±1.3%", False), ("throttled", True)]
    assert [tile.section for tile in found.tiles] == ["verdict", "map", "memory", "bounds"]
    assert any("above 100 % of the bound" in text for text in found.surprises)


@pytest.mark.parametrize(
    ("doctor", "row", "told"),
    [
        ({"noise_floor": 0.23}, {}, ("noisy, ±23%", True)),
        ({"noise_floor": None}, {"latency_low_ms": 0.9, "latency_high_ms": 1.1}, ("noisy, ±10%", True)),
        (None, {"latency_low_ms": 0.99, "latency_high_ms": 1.01}, ("quiet, ±1.0%", False)),
        (None, {}, ("noise not known", True)),
    ],
)
def test_how_far_to_trust(make_run: MakeRun, doctor: object, row: dict[str, float], told: tuple[str, bool]) -> None:
    run = make_run([case(1.0, **row)], environment={**ENVIRONMENT, "doctor": doctor})
    (mark,) = marks(material_of([load_run(run, "run")]))
    assert (mark.text, mark.warning) == told


def test_nothing_measured_has_a_first_screen(make_run: MakeRun) -> None:
    for name, rows in (("none", []), ("lost", [failed("error", "no")])):
        found = opening(material_from(lambda rows, name=name: make_run(rows, name), rows))
        assert (found.hero, list(found.tiles)) == (None, [])
    assert facts(material_from(lambda rows: make_run(rows, "bare", {}), [])) == ["run"]
