"""What a case is made of: its keys and coordinates, the axes along which they are swept, and their order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.results.columns import CACHES, KINDS, MODES, PARAMETERS, SCOPES, STATUSES

from ..style import LOOKS
from .rows import CASE, ReportedRun

NETWORK = SCOPES[-1]
COORDINATES = [name for name in PARAMETERS if name not in ("implementation", "kind", "mode", "scope")]
IMAGE = ("height", "width")
OF_NETWORKS = ("depth", "torch_compile")
# What is never compared in one figure or mean, as it is a setting and no size.
SETTING = ["dtype", "cache"]
# Columns that pool() adds: the device, with the run where runs overlap, and a number for what is paired.
PLACE, PROBLEM = "_place", "_problem"
KEYS = [PLACE, "scope", *SETTING, "mode", "implementation"]
_ORDERS: dict[str, Sequence[str]] = {
    "scope": SCOPES,
    "dtype": ("bfloat16", "float16", "float32", "float64"),
    "cache": CACHES,
    "mode": MODES,
    "implementation": tuple(LOOKS),
    "status": STATUSES,
}


@dataclass(frozen=True)
class SweptAxis:
    """A parameter, or parameters that vary together, with its title and whether its ratios matter."""

    name: str
    columns: tuple[str, ...]
    title: str
    log: bool = False
    numeric: bool = True

    @property
    def words(self) -> str:
        """Its name for people."""
        return self.name.replace("_", " ")


SWEPT_AXES = (
    SweptAxis("kernel_size", ("kernel_size",), "kernel size k (pixels)"),
    SweptAxis("m", ("m",), "m (channels sharing a weight)", log=True),
    SweptAxis("channels", ("channels",), "channels C", log=True),
    SweptAxis("resolution", IMAGE, "resolution, height = width (pixels)", log=True),
    SweptAxis("height", ("height",), "height (pixels)", log=True),
    SweptAxis("width", ("width",), "width (pixels)", log=True),
    SweptAxis("stride", ("stride",), "stride (pixels)"),
    SweptAxis("batch", ("batch",), "batch (images)", log=True),
    SweptAxis("dilation", ("dilation",), "dilation (pixels)"),
    SweptAxis("padding", ("padding",), "padding (pixels)", numeric=False),
    SweptAxis("memory_format", ("memory_format",), "memory format", numeric=False),
    SweptAxis("composability", ("composability",), "composability Φ", numeric=False),
    SweptAxis("padding_mode", ("padding_mode",), "padding mode", numeric=False),
    SweptAxis("channel_order", ("channel_order",), "channel order", numeric=False),
    SweptAxis("prior", ("prior",), "geometric prior", numeric=False),
)
PROBLEM_AXIS = SweptAxis("problem", ("channels", *IMAGE, "stride"), "problem", numeric=False)


def pool(runs: Sequence[ReportedRun]) -> pd.DataFrame:
    """All rows by place and scope; runs are places of their own only if they share a case on one device."""
    cases = pd.concat([run.rows for run in runs], ignore_index=True)
    overlap = cases.duplicated(CASE).any()
    cases[PLACE] = cases["device"] + ", run " + cases["run"] if overlap else cases["device"]
    cases[PROBLEM] = cases.groupby([PLACE, "scope", "mode", *COORDINATES], dropna=False).ngroup()
    for name, known in {PLACE: cases[PLACE].unique(), **_ORDERS}.items():
        categories = in_known_order(cases[name].unique(), list(known))
        cases[name] = pd.Categorical(cases[name], categories, ordered=True)
    return cases.sort_values([PLACE, "scope"], kind="stable", ignore_index=True)


def implementations(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases of implementations: yardsticks are other functions, which nothing is compared with."""
    return cases[cases["kind"] == KINDS[0]]


def yardsticks(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases of other functions."""
    return cases[cases["kind"] != KINDS[0]]


def in_known_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The names, known ones first and in their order."""
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
