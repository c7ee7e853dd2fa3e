"""`python -m bench doctor`: whether a machine's times can be trusted, each check with what to do about it."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil
import torch

from ..errors import in_a_line
from .calibration import PLAUSIBLE, rates_of
from .device import chip_of, device_name
from .environment import governor
from .nvml import neighbours, telemetry_of
from .opinions import opinions
from .roofs import ROOFS, empty_call
from .timers import Call, capture_failures
from .timing import Sampler, Timing, measure

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
_TIMING, _NOISE_TIMING = Timing(seconds=0.2), Timing(seconds=0.03)
# Pairs of medians of one call, and the rounds of each.
PAIRS, _ROUNDS = 12, 3
# What an empty kernel may take in µs: between events, which add a launch, and in a graph; an empty function on a CPU.
_EMPTY_US = {"events": 10.0, "graph": 5.0, "host": 50.0, "wall": 1.0}
# Shares up to which a check passes, and up to which it warns; and of the data sheet's rate, below which it warns.
_AGREEMENT = 0.05
_NOISE, _BUSY, _LOW_ROOF, _LOW_CLOCK = (0.01, 0.1), (0.1, 0.8), 0.7, 0.9


@dataclass(frozen=True)
class Check:
    """What was looked at, the verdict, what was found, and what to do unless it passed."""

    name: str
    verdict: str
    found: str
    advice: str = ""


@dataclass
class Examination:
    """The checks of one device, and the figures that runs use: roofs per second and the noise floor as a share.

    Args:
        device: What is examined.
        timed: Makes the call whose noise is measured.
    """

    device: torch.device
    timed: Callable[[torch.device], Call]
    checks: list[Check] = field(default_factory=list)
    roofs: dict[str, float] = field(default_factory=dict)
    noise_floor: float | None = None

    def run(self) -> Iterator[Check]:
        """Every check in turn; one that cannot be made has failed, and the others go on."""
        for name, check in CHECKS.items():
            try:
                found = check(self)
            except Exception as error:  # noqa: BLE001  whatever breaks here is what the doctor is to tell of
                found = Check(name, FAIL, in_a_line(error), "mend this first: runs would meet it too")
            if found is not None:
                self.checks.append(found)
                yield found

    def calibration(self) -> dict[str, Any]:
        """What is kept."""
        return {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": device_name(self.device),
            "torch": torch.__version__,
            "noise_floor": self.noise_floor,
            "roofs": self.roofs,
            "checks": [asdict(check) for check in self.checks],
        }


def _others(examination: Examination) -> Check:
    """Who else uses the device; first of all, while this process is idle."""
    if examination.device.type == "cuda":
        telemetry = telemetry_of(examination.device)
        if telemetry.handle is None:
            return Check("others", WARN, "not known without NVML", "see the check of nvml")
        there = neighbours(telemetry)
        named = ", ".join(f"process {one['pid']}" for one in there)
        advice = "stop them, or take another GPU; in a container, one of them may be this process itself"
        return Check("others", WARN if there else PASS, named or "nobody else is on the GPU", advice if there else "")
    busy = psutil.cpu_percent(interval=1.0) / 100
    advice = "stop what else runs: times of different runs will differ"
    return Check("others", _graded(busy, *_BUSY), f"{busy:.0%} of all cores are busy", advice)


def _nvml(examination: Examination) -> Check | None:
    """Whether clocks, power and throttling can be read."""
    if examination.device.type != "cuda":
        return None
    telemetry = telemetry_of(examination.device)
    if telemetry.absent is not None:
        advice = (
            "give the container the driver's utilities (NVIDIA_DRIVER_CAPABILITIES=utility): throttling goes unseen"
        )
        return Check("nvml", WARN, telemetry.absent, advice)
    reading = telemetry.read()
    unknown = [name for name, value in asdict(reading).items() if value is None]
    if unknown:
        return Check("nvml", WARN, f"not told: {', '.join(unknown)}", "columns of these stay empty on this GPU")
    return Check("nvml", PASS, f"SM at {reading.sm_mhz} MHz, {reading.temperature_c} °C, {reading.power_w:.0f} W")


def _timer(examination: Examination) -> Check:
    """The times of a call that does nothing, by every timer there is."""
    device, found = examination.device, {}
    nothing = empty_call(device)
    for capture in (False, True) if device.type == "cuda" else (False,):
        columns = measure(nothing, device, _TIMING, capture=capture).columns()
        found[str(columns["timer"])] = columns["latency_ms"] * 1e3
    slow = [name for name, microseconds in found.items() if microseconds > _EMPTY_US[name]]
    lacking = device.type == "cuda" and "graph" not in found
    text = ", ".join(f"{microseconds:.3f} µs by {name}" for name, microseconds in found.items())
    advice = "a time of a few of these is mostly the timer's own; look for a profiler or a debugger that is attached"
    if lacking:
        why = "; ".join(capture_failures) or "the empty call is not short"
        advice = f"short calls are timed by events, launch gaps included, as no graph was captured: {why}"
    good = not slow and not lacking
    return Check("timer", PASS if good else WARN, f"an empty call takes {text}", "" if good else advice)


def _agreement(examination: Examination) -> Check | None:
    """How far timers that know nothing of each other are apart, on a GPU, for one call."""
    if examination.device.type != "cuda":
        return None
    heard, unheard = opinions(examination.timed(examination.device), examination.device)
    told = ", ".join(f"{ms * 1e3:.1f} µs by {name}" for name, ms in heard.items())
    text = "; ".join([f"one call takes {told}" if told else "no timer tells", *unheard.values()])
    if len(heard) < 2:
        return Check("agreement", WARN, text, "one timer alone has no witness: install triton for Proton")
    apart = max(heard.values()) / min(heard.values()) - 1
    advice = "events hold gaps between kernels, profilers do not; beyond that, a timer is wrong: look at a trace"
    good = apart <= _AGREEMENT
    return Check("agreement", PASS if good else WARN, f"{apart:.1%} apart: {text}", "" if good else advice)


def _roof(name: str) -> Callable[[Examination], Check]:
    def check(examination: Examination) -> Check:
        device = examination.device
        roof = ROOFS[name](device)
        rate, _ = roof.measured(device)
        examination.roofs[name] = rate
        chip, text = chip_of(device), f"{rate:.3e} {roof.unit} by {roof.summary}"
        if chip is None:
            return Check(name, PASS, text)
        share = rate / rates_of(chip)[name]
        text += f", {share:.0%} of the data sheet"
        if not PLAUSIBLE[0] <= share <= PLAUSIBLE[1]:
            advice = "not believed, bounds keep the data sheet's rate: the timer, the roof or the data sheet is wrong"
            return Check(name, FAIL, text, advice)
        advice = "look for another process, a power or clock limit, or a part of a GPU (MIG)"
        return Check(name, PASS if share >= _LOW_ROOF else WARN, text, "" if share >= _LOW_ROOF else advice)

    return check


def _clocks(examination: Examination) -> Check:
    """Whether clocks stay up under load."""
    if examination.device.type != "cuda":
        how = governor()
        advice = "set the governor to performance: cpupower frequency-set -g performance"
        if how is None:
            return Check(
                "clocks", WARN, "the machine does not say how clocks are governed", "compare within a run only"
            )
        return Check("clocks", PASS if how == "performance" else WARN, f"governor {how}", advice)
    telemetry = telemetry_of(examination.device)
    if telemetry.handle is None:
        return Check("clocks", WARN, "not known without NVML", "see the check of nvml")
    _, latency = ROOFS["fma"](examination.device).measured(examination.device)
    columns, chip = latency.columns(), chip_of(examination.device)
    text = f"SM at {columns['sm_mhz']} MHz under load, throttled by: {columns['throttle']}"
    low = chip is not None and columns["sm_mhz"] and columns["sm_mhz"] < _LOW_CLOCK * 1e3 * chip.clock_ghz
    advice = "cool it, raise its power limit (nvidia-smi -pl), or lock its clocks (nvidia-smi -lgc)"
    good = not low and not columns["tainted"]
    return Check("clocks", PASS if good else WARN, text, "" if good else advice)


def _noise(examination: Examination) -> Check:
    """How much the same call differs from itself."""
    device = examination.device
    floor = examination.noise_floor = noise_floor(examination.timed(device), device)
    text = f"the same call differs from itself by up to {floor:.2%} in {PAIRS} pairs"
    return Check("noise", _graded(floor, *_NOISE), text, "differences below this are noise; make the machine quieter")


CHECKS: dict[str, Callable[[Examination], Check | None]] = {
    "others": _others,
    "nvml": _nvml,
    "timer": _timer,
    "agreement": _agreement,
    **{name: _roof(name) for name in ROOFS},
    "clocks": _clocks,
    "noise": _noise,
}


def _graded(share: float, passes: float, warns: float) -> str:
    return PASS if share <= passes else WARN if share <= warns else FAIL


def noise_floor(call: Call, device: torch.device, pairs: int = PAIRS) -> float:
    """The largest |b/a − 1| of the medians of pairs (a, b) of one call, which take turns as two implementations do.

    Each side has three rounds, in the order a b, b a, a b.
    """
    return max(_difference(call, device) for _ in range(pairs))


def _difference(call: Call, device: torch.device) -> float:
    # Not from a graph: on a GPU, that a launch is more noisy than a replay belongs to the floor.
    sides = [Sampler(call, device, _NOISE_TIMING, capture=False) for _ in range(2)]
    for number in range(_ROUNDS):
        for side in sides if number % 2 == 0 else sides[::-1]:
            side.round()
    one, other = (statistics.median(side.latency().samples_ms) for side in sides)
    return abs(other / one - 1)
