"""The one case that `python -m bench profile` is about: named by words of its label, by a row of a run, or by axes."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kernels import CHANNEL_ORDERS, COMPOSABILITIES, DTYPES, IMPLEMENTATIONS, MEMORY_FORMATS, PADDING_MODES

from ..commands.run import Request
from ..errors import UsageError
from ..cost.yardsticks import YARDSTICKS
from ..results.folder import PARAMETERS, RunFolder
from .axes import AXES, CACHES, MODES, SCOPES, Value, parse_axis
from .case import Case
from .sweeps import DEFAULTS, Sweep, Values, expand
from .sweeps import SWEEPS as _SWEEPS

_ROW = re.compile(r"(?P<run>.+):(?P<line>\d+)")
_NUMBER = re.compile(r"(?P<name>[NCHWkmsd])(?P<number>\d+)")
_SIZE = re.compile(r"(?P<height>\d+)[×x](?P<width>\d+)")
# Values that name their axis by themselves.
_CHOICES = {
    "scope": SCOPES,
    "mode": MODES,
    "dtype": DTYPES,
    "cache": CACHES,
    "memory_format": MEMORY_FORMATS,
    "composability": COMPOSABILITIES,
    "padding_mode": PADDING_MODES,
    "channel_order": CHANNEL_ORDERS,
}
_AXIS_OF: Mapping[str, str] = {value: axis for axis, values in _CHOICES.items() for value in values}
_MEASURED = (*IMPLEMENTATIONS, *YARDSTICKS)
# Cases that are named where several fit.
_SHOWN = 3


@dataclass(frozen=True)
class Chosen:
    """A case, and the run and the line of its results.jsonl (from 1) that it was taken from, if from any."""

    case: Case
    run: Path | None = None
    line: int | None = None


def choose(text: str, request: Request, device: torch.device) -> Chosen:
    """The case that a text (RUN:LINE, or words of a label) and a request's options name together.

    What neither names is as in the row, or as in the middle of the device's own sweep.

    Raises:
        UsageError: They name no case, or several, or contradict each other.
        RunFolderError: The run is none.
    """
    row = _ROW.fullmatch(text.strip())
    base: Values = {**DEFAULTS, **_SWEEPS[request.sweep_name(device)].base}
    names: list[str] = [name for option in request.implementations for name in option.split(",")]
    texts = [*request.axes, *([f"mode={request.mode}"] if request.mode else [])]
    run, line = None, None
    if row is not None:
        run, line = Path(row["run"]), int(row["line"])
        parameters = _parameters(run, line)
        base = {**base, **{name: (value,) for name, value in parameters.items() if name in AXES}}
        names = names or [str(parameters["implementation"])]
    else:
        words = _Words.read(text.split())
        names, texts = [*words.implementations, *names], [*words.axes, *texts]
    if not (text or names or texts):
        raise UsageError("which case? Give RUN:LINE, words of a case's label, or axes; see --help")
    cases = _cases(base, _overrides(texts, device), names or _MEASURED[: len(IMPLEMENTATIONS)])
    if len(cases) > 1:
        shown = "; ".join(case.label() for case in cases[:_SHOWN])
        more = f"; and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
        raise UsageError(f"{len(cases)} cases match, and one is profiled: {shown}{more}")
    return Chosen(cases[0], run, line)


@dataclass(frozen=True)
class _Words:
    """Words of a case, as its label has them: implementations, and axes as NAME=VALUE."""

    implementations: tuple[str, ...]
    axes: tuple[str, ...]

    @classmethod
    def read(cls, words: Iterable[str]) -> "_Words":
        names: list[str] = []
        axes: list[str] = []
        for word in words:
            number, size = _NUMBER.fullmatch(word), _SIZE.fullmatch(word)
            name, separator, value = word.partition("=")
            if word in _MEASURED:
                names.append(word)
            elif name == "implementation" and separator:
                names += value.split(",")
            elif word in _AXIS_OF:
                axes.append(f"{_AXIS_OF[word]}={word}")
            elif number is not None:
                axes.append(f"{number['name']}={number['number']}")
            elif size is not None:
                axes += [f"height={size['height']}", f"width={size['width']}"]
            elif separator:
                axes.append(word)
            else:
                raise UsageError(
                    f"no case has {word!r}: expected words of a label, as triton forward C200 28×28 k7, "
                    "or NAME=VALUE, or RUN:LINE"
                )
        return cls(tuple(names), tuple(axes))


def _parameters(run: Path, line: int) -> dict[str, Any]:
    """What a row of a run was asked for."""
    folder = RunFolder(run)
    folder.environment()
    lines = folder.rows_path.read_text(encoding="utf-8").splitlines() if folder.rows_path.exists() else []
    if not 1 <= line <= len(lines):
        raise UsageError(f"{folder.rows_path} has lines 1 to {len(lines)}, got {line}")
    try:
        row = json.loads(lines[line - 1])
        return {"implementation": row["implementation"], **{name: row[name] for name in PARAMETERS if name in row}}
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"line {line} of {folder.rows_path} is not a row") from None


def _overrides(texts: Iterable[str], device: torch.device) -> dict[str, tuple[Value, ...]]:
    found: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, values = parse_axis(text)
        if found.setdefault(name, values) != values:
            raise UsageError(f"{name} is given as {found[name][0]} and as {values[0]}: give it once")
    # Nothing flushes a CPU's caches.
    return found if device.type == "cuda" else {"cache": ("hot",), **found}


def _cases(base: Values, overrides: Values, names: Iterable[str]) -> list[Case]:
    """Every case of these implementations and yardsticks with these values, the base's where none are given."""
    wanted = dict.fromkeys(names)
    unknown = wanted.keys() - set(_MEASURED)
    if unknown:
        raise UsageError(f"there is no implementation {min(unknown)!r}: there are {', '.join(_MEASURED)}")
    if "hw" in overrides:  # it would yield to a row's height and width
        base = {name: values for name, values in base.items() if name not in ("height", "width")}
    cases = expand(Sweep("", base, ({},)), overrides, yardsticks=True)
    return [case for case in cases if case.implementation in wanted]
