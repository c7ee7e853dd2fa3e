"""From a matplotlib figure to PNG and SVG, with the file backends alone, and several at once."""

import io
import multiprocessing
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from ..report import Drawing, Drawn
from ..style import GRID, INK, PAPER

_DPI = 110
# Fewer figures than this are drawn sooner than other processes have started.
_WORTH_PROCESSES = 8
_MOST_PROCESSES = 4
_LOOK = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "font.size": 9.5,
    "grid.color": GRID,
    "svg.fonttype": "path",
    "svg.hashsalt": "reports",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
# An embedded picture follows the reader's light or dark setting.
_THEME = (
    "<style>svg{--ink:#1f2430;--grid:#d5d9e0;--paper:#fff}"
    "@media(prefers-color-scheme:dark){svg{--ink:#dfe3ea;--grid:#3a404b;--paper:#16191f}}</style>"
)


def styled(titles: str = "medium") -> AbstractContextManager[None]:
    """matplotlib's settings for every picture, with titles of that size, until the context ends."""
    settings: dict[Any, Any] = {**_LOOK, "axes.titlesize": titles}
    return mpl.rc_context(settings)


def render(size: tuple[float, float], fill: Callable[[Canvas], None]) -> Drawn:
    """What `fill` puts on an empty figure of that size in inches."""
    with styled():
        figure = Canvas(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        fill(figure)
        pixels, text = io.BytesIO(), io.StringIO()
        figure.savefig(pixels, dpi=_DPI, format="png")
        # What was placed for the PNG stays there in the SVG: placing takes half as long as drawing.
        figure.set_layout_engine("none")
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return Drawn(_themed(text.getvalue()), pixels.getvalue())


def draw_all(drawings: Sequence[Drawing]) -> list[Drawn]:
    """The drawings as files; many of them in several processes."""
    workers = min(_MOST_PROCESSES, os.cpu_count() or 1)
    if len(drawings) < _WORTH_PROCESSES or workers < 2:
        return [drawing.drawn() for drawing in drawings]
    # Spawned, not forked: the libraries that drew so far may hold threads and locks.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_drawn, drawings, chunksize=2))


def _drawn(drawing: Drawing) -> Drawn:
    return drawing.drawn()


def _themed(svg: str) -> str:
    """The SVG element alone, its neutral colours exchanged for ones that follow the reader's setting."""
    body = svg[svg.index("<svg") :]
    for colour, name in ((INK, "ink"), (GRID, "grid"), (PAPER, "paper")):
        body = re.sub(re.escape(colour), f"var(--{name})", body, flags=re.IGNORECASE)
    return re.sub(r"(<svg[^>]*>)", rf"\1{_THEME}", body, count=1)
