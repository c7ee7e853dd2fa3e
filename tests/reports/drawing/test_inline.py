"""Pictures of a page: what is where in them."""

import math
import re
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from reports.drawing.inline.frame import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Scale, fitting
from reports.drawing.inline.marks import marker
from reports.drawing.inline.plot import plot
from reports.drawing.panels import Line, Panel
from reports.style import LOOKS, looks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(panel: Panel) -> ET.Element:
    names = [line.name for line in panel.lines]
    return ET.fromstring(plot(panel, looks(names), "A label.").svg)  # noqa: S314


def points(picture: ET.Element) -> dict[str, tuple[float, float]]:
    """Where each marker is, by what it tells."""
    found = {}
    for node in picture.iter(f"{SVG}path"):
        if "point" in node.attrib["class"]:
            x, y = re.match(r"M([\d.]+) ([\d.]+)", node.attrib["d"]).groups()  # type: ignore[union-attr]
            found[str(node.findtext(f"{SVG}title"))] = (float(x), float(y))
    return found


def test_points_stand_in_proportion_and_tell_value_and_interval() -> None:
    frame = pd.DataFrame(
        {"x": [1, 10, 100], "y": [2.0, 20.0, 2000.0], "low": [1.0, 15.0, 1900.0], "high": [3.0, 25.0, 2100.0]}
    )
    picture = drawn(Panel("latency", "m (channels)", "latency (ms)", [Line("unfold", frame)], [1, 10, 100], log_x=True))
    found = points(picture)
    assert list(found) == [
        "unfold, 1: 2 ms (1 to 3)",
        "unfold, 10: 20 ms (15 to 25)",
        "unfold, 100: 2000 ms (1900 to 2100)",
    ]
    (x0, y0), (x1, y1), (x2, y2) = found.values()
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    # One power of ten, then two, upwards.
    assert (y1 - y2) / (y0 - y1) == pytest.approx(2, abs=0.01)
    assert all(LEFT <= x <= WIDTH and TOP <= y <= HEIGHT - BOTTOM for x, y in found.values())
    (group,) = [node for node in picture.iter(f"{SVG}g") if "data-line" in node.attrib]
    assert (group.attrib["data-line"], group.attrib["color"]) == ("unfold", LOOKS["unfold"].colour)
    assert picture.attrib["aria-label"] == "A label."


def test_scale_has_no_place_for_what_has_no_logarithm() -> None:
    scale = Scale(1, 100, 0, 10, log=True)
    assert [scale.at(value) for value in (1, 10, 100)] == pytest.approx([0, 5, 10])
    assert all(math.isnan(scale.at(value)) for value in (0, -1, math.nan, math.inf))
    assert fitting([], 0, 1, log=True).at(1) == pytest.approx(0.5)
    assert fitting([7, 7], 0, 1, log=False).at(7) == pytest.approx(0.5)


@pytest.mark.parametrize("log", [True, False])
def test_scale_holds_any_number_that_there_is(*, log: bool) -> None:
    for values in ([1e308, 1.0], [5e-324, 1.0], [1.7e308, 1.7e308], [-1e308, 1e140], [1e-140, 1e140]):
        scale = fitting(values, 0, 1, log=log)
        placed = [place for place in map(scale.at, values) if not math.isnan(place)]
        assert all(0 <= place <= 1 for place in placed)
        assert len(scale.ticks()) < 20
        # Nothing that was measured is so large or so small.
        assert all(1e-150 < abs(value) < 1e150 for value in values if not math.isnan(scale.at(value)) and log)


def test_residuals_lie_in_their_band() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [1.4, 1.6]})
    picture = drawn(
        Panel("m", "m", "measured / predicted", [Line("triton", frame)], [1, 2], False, level=1.0, within=1.5)
    )
    (band,) = picture.iter(f"{SVG}rect")
    top, height = (float(band.attrib[name]) for name in ("y", "height"))
    inside, outside = (y for _, y in points(picture).values())
    assert outside < top < inside < top + height


def test_every_marker_of_the_looks_has_a_shape() -> None:
    names = [*LOOKS, *(f"mine{number}" for number in range(20))]
    for look in looks(names, [f"yard{number}" for number in range(8)]).values():
        assert marker(look.marker, 1, 2)[0].startswith("M1.0 2.0m")
