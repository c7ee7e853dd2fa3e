"""A GPU of given speeds, on a clock of its own: what the schedule, the budget and the deadline make of it is real."""

import itertools
from collections.abc import Callable
from typing import Any, Self

from bench.case.case import Case
from bench.cost.bounds import bounds_us, largest
from bench.cost.chips import CHIPS
from bench.cost.metrics import counts, work_of
from bench.measure.steps import StepResult
from bench.run.messages import Setup
from bench.samples import Block, Latency
from tests.support.slots import identity

# The share of the chip's bound that an implementation reaches, and its host's milliseconds per launch of many.
EFFICIENCY = {"triton": 0.5, "compiled": 0.08, "flex": 0.04, "unfold": 0.01, "chunked": 0.004, "native": 1.0}
COMPILED = {"triton": 0.8, "compiled": 1.5, "flex": 1.5}
CALLS_OF_A_ROUND, ROUND_SECONDS = 30, 0.03


class Clock:
    """Seconds that pass when somebody says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class PretendedGpu:
    """A worker on an H100 that is so many times slower."""

    def __init__(self, clock: Clock, slower: float = 1.0) -> None:
        self.clock, self.slower = clock, slower
        self.asked: list[Case] = []
        self._posed: object = None
        self._called: set[tuple[str, bool]] = set()

    def worker(self) -> Callable[..., Any]:
        """What stands for the worker's class."""
        return lambda setup, *_, **__: _Worker(self, setup)

    def latency_s(self, case: Case) -> float:
        """How long a call takes."""
        work, chip = work_of(case), CHIPS["H100 SXM"]
        if work is not None and case.yardstick is None:
            bounds = bounds_us(work, chip)
            bound = bounds[largest(bounds)] / 1e6
        else:
            known = counts(case)
            bound = max(known.get("flops", 0) / 60e12, known.get("min_bytes", 0) / 3.3e12)
        return self.slower * (bound / EFFICIENCY.get(case.implementation, 0.5) + 4e-6)

    def prepare(self, case: Case) -> StepResult:
        self.asked.append(case)
        if case.implementation == "native":
            self.clock.now += 0.001
            return StepResult(status="unsupported", reason="for CPUs")
        if case.posed != self._posed:
            self._posed, self._called = case.posed, set()
            self.clock.now += 0.2 + self.slower * counts(case).get("flops", 0) / 0.4e12
        once = case.implementation, case.backward
        if once not in self._called:
            self._called.add(once)
            self.clock.now += 0.05 + COMPILED.get(case.implementation, 0.0)
        self.clock.now += 0.02 + 8 * self.latency_s(case)
        return StepResult()

    def round(self, case: Case) -> StepResult:
        latency = self.latency_s(case)
        self.clock.now += ROUND_SECONDS + max(0.05 / 3, CALLS_OF_A_ROUND * latency)
        return StepResult(latency=Latency([Block([latency * 1e3] * 10, "seconds")], 0.01, "events"))

    def recheck(self, case: Case) -> StepResult:
        self.clock.now += 0.02 + 4 * self.latency_s(case)
        return StepResult()


class _Worker:
    def __init__(self, gpu: PretendedGpu, _: Setup) -> None:
        self.prepare, self.round, self.recheck, self.fits = gpu.prepare, gpu.round, gpu.recheck, gpu.prepare
        answers = itertools.cycle((identity("pretended").environment, "doctor: not run", (CHIPS["H100 SXM"], None)))
        self.call = lambda *_: next(answers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        pass
