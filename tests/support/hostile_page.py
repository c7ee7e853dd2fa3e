"""A window to open pages in, and a page that holds everything, harm included."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.drawing.panels import Line, Panel
from reports.drawing.plots import Panels
from reports.report import Details, Figure, Mark, Opening, Report, Section, Table, Tile
from reports.style import looks

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<script>window.harmed = true</script>, a name longer than a phone is wide"
LOOKS = looks(["unfold", "triton", HOSTILE])
_OWN = re.compile(r"(data|blob|file):")


@dataclass
class Window:
    """Opens pages, and keeps what they complained of and what they asked the network for."""

    browser: "Browser"
    problems: list[str] = field(default_factory=list)

    def open(self, path: Path, *, width: int = 1280, **settings: Any) -> "Page":
        """The page in a context of its own, complete, its long tables unpacked."""
        context = self.browser.new_context(viewport={"width": width, "height": 900}, offline=True, **settings)
        page = context.new_page()
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: None if _OWN.match(request.url) else self.problems.append(request.url))
        page.goto(path.as_uri())
        if settings.get("java_script_enabled", True):
            for controls in page.locator(".controls").all():
                controls.wait_for()
        return page


def rows() -> pd.DataFrame:
    """Sixty rows with ties, holes, a long text and a constant."""
    index = pd.Series(range(60))
    reason = "out of memory: 80 GiB asked for, more than there is"
    return pd.DataFrame(
        {
            "implementation": index.map(lambda i: ("unfold", "triton", HOSTILE)[i % 3]),
            "kernel_size": (3 + 2 * (index % 4)).astype("Int64"),
            "latency_ms": (1000 / (1 + index * 7 % 61)).where(index % 5 != 0).convert_dtypes(),
            "reason": pd.Series(reason, index).where(index % 5 == 0),
            **{f"metric_{name}": index * 1.5 for name in "abcdefghijklmnopqrst"},
            "device": "cpu",
        }
    )


def panel() -> Panel:
    """Three lines, one of them harmful, with bands."""
    points = pd.DataFrame({"x": [3, 5, 7], "y": [1.0, 2.0, 4.0]})
    scales = {"y": 1.0, "low": 0.9, "high": 1.2}
    lines = [
        Line(name, points.assign(**{end: factor * scale * points["y"] for end, scale in scales.items()}))
        for factor, name in enumerate(LOOKS, 1)
    ]
    return Panel("latency", "kernel size k (pixels)", "latency (ms)", lines, [3, 5, 7], log_x=False)


def report() -> Report:
    """A report with all that a page can hold."""
    told = (
        rows()
        .head(5)[["implementation", "latency_ms", "reason"]]
        .assign(why=f"A long story of `k` and {HOSTILE}. " * 9)
    )
    table = Table("speedup", f"Speed-up over `unfold` and {HOSTILE}.", told)
    browsable = Table("all", "All rows.", rows(), frozenset({"device"}), browsable=True)
    drawing = Panels([panel(), replace(panel(), title="aside", aside=True)], LOOKS)
    data = pd.DataFrame({"x": [1, 2], "y": [0.5, 0.1 + 0.2], "name": ["a,b", HOSTILE]})
    figures = [
        Figure(f"figure_{n}", f"Along k, {n}", "Bands: 95 %.", f"Latency along k {HOSTILE}", drawing, data, "echo <b>")
        for n in (1, 2)
    ]
    points, more = (Table(name, f"The {name}.", data) for name in ("points", "others"))
    details = [Details(f"Why {HOSTILE}", [HOSTILE])]
    sections = [
        Section("verdict", "Verdict", [HOSTILE, "`unfold` is the fastest."], [table], details=details),
        Section("axes", "Axes", ["Each figure moves one parameter."], [points, more], figures),
        Section("bounds", "Bounds", empty="No case has a bound: `python -m bench run stages`."),
        Section("rows", "All rows", [], [browsable]),
    ]
    opening = Opening(
        [f"run {HOSTILE}"],
        [Mark(f"noisy {HOSTILE}", HOSTILE, warning=True)],
        replace(figures[0], name="opening", title="In one picture"),
        [Tile("9×", f"{HOSTILE} times", "axes", HOSTILE), Tile("3", "nowhere", "bounds")],
        [f"`unfold` loses to {HOSTILE}."],
    )
    return Report(f"Local relation layer: {HOSTILE}", sections, [f"A warning {HOSTILE}"], LOOKS, opening)
