"""How the words of a command become cases: a sweep's with what is asked otherwise, or the one that is profiled."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from kernels import CHANNEL_ORDERS, COMPOSABILITIES, DTYPES, IMPLEMENTATIONS, MEMORY_FORMATS, PADDING_MODES

from ..cost.yardsticks import YARDSTICKS
from ..device.device import require_device
from ..errors import UsageError
from ..results.columns import CACHES, MODES, SCOPES
from ..results.reading import row_at
from .axes import AXES, Value, parse_axis
from .case import Case
from .parts import Values
from .sweeps import DEFAULTS, SWEEPS, Sweep, ends_of, expand, require_sweep, size_of

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
class Request:
    """What a user asked to be measured, in the command's own words."""

    sweep: str | None
    axes: tuple[str, ...]
    implementations: tuple[str, ...]
    mode: str | None
    device: str
    yardsticks: bool | None = None

    def torch_device(self) -> torch.device:
        """The device asked for.

        Raises:
            UsageError: There is no such device here.
        """
        return require_device(self.device)

    def sweep_name(self, device: torch.device) -> str:
        """The sweep asked for, or the device's own."""
        return self.sweep or {"cpu": "quick", "cuda": "axes"}[device.type]

    def texts(self) -> list[str]:
        """The axes as NAME=VALUE, the mode among them."""
        return [*self.axes, *([f"mode={self.mode}"] if self.mode else [])]

    def names(self) -> list[str]:
        """The implementations."""
        return [name for text in self.implementations for name in text.split(",")]

    def cases(self, device: torch.device) -> list[Case]:
        """The cases asked for.

        Raises:
            UsageError: A sweep, axis, value, implementation or mode does not exist or makes no sense.
        """
        sweep, overrides = self._sweep(device)
        return expand(sweep, overrides, self.names(), yardsticks=self.yardsticks)

    def size(self, device: torch.device) -> int:
        """How many cases there are at the most, without making any.

        Raises:
            UsageError: A sweep, axis or value does not exist.
        """
        sweep, overrides = self._sweep(device)
        return size_of(sweep, overrides, self.names(), yardsticks=self.yardsticks)

    def ends(self, device: torch.device) -> list[Case]:
        """The first and the last cases, without making the others.

        Raises:
            UsageError: A sweep, axis, value or implementation does not exist or makes no sense.
        """
        sweep, overrides = self._sweep(device)
        return ends_of(sweep, overrides, self.names())

    def _sweep(self, device: torch.device) -> tuple[Sweep, Values]:
        """The sweep, and what is asked otherwise."""
        parsed = [parse_axis(text) for text in self.texts()]
        overrides = dict(parsed)
        if len(overrides) < len(parsed):
            names = [name for name, _ in parsed]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"axis {twice} is given more than once: give its values together, {twice}=VALUE,VALUE")
        return require_sweep(self.sweep_name(device)).on(device.type), _on(device, overrides)


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
    base: Values = {**DEFAULTS, **SWEEPS[request.sweep_name(device)].base}
    names, texts = request.names(), request.texts()
    run, line = None, None
    if row is not None:
        run, line = Path(row["run"]), int(row["line"])
        parameters = row_at(run, line)
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


def _overrides(texts: Iterable[str], device: torch.device) -> Values:
    found: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, values = parse_axis(text)
        if found.setdefault(name, values) != values:
            raise UsageError(f"{name} is given as {found[name][0]} and as {values[0]}: give it once")
    return _on(device, found)


def _on(device: torch.device, overrides: Values) -> Values:
    """Overrides for a device: nothing flushes a CPU's caches, so unless somebody insists, they are called hot."""
    return overrides if device.type == "cuda" else {"cache": ("hot",), **overrides}


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
