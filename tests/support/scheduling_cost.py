"""`python -m tests.support.scheduling_cost local|ray [DEVICES]`: what a case costs besides being measured, in ms.

The workers answer every step at once, and each of the 1,000 cases is a problem of its own.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from bench.run.local_executor import LocalExecutor, Seat
from bench.run.place import Place

from bench.device.timing import Timing
from bench.run.executors import Executor, executor_of
from bench.run.run import Conduct, measure_run
from bench.run.slot import Plan, Station
from tests.support.bench_cases import case

CASES = 1_000
# As text, since the nodes of a cluster have the suite and not its tests.
WORKER = """
import sys
from multiprocessing.connection import Connection
from bench import worker
from bench.run.messages import Answer
from bench.measure.steps import Step
from bench.device.nvml import Reading
from bench.device.timing import Block, Latency

worker.die_with_parent()
connection = Connection(int(sys.argv[1]))
connection.recv()
connection.send(Answer())
block = Block([0.1, 0.2, 0.3], "samples", Reading(), Reading())
answers = {"prepare": lambda case: Step({}), "turn": lambda case, capture: Step({}, Latency([block], 0.01, "wall"))}
worker.serve(connection, {**answers, "call": lambda function, *arguments: function(*arguments)})
"""


@dataclass(frozen=True)
class Instant:
    """The stations of another executor, whose workers measure nothing."""

    real: Executor
    mixed: bool = True

    @property
    def device(self) -> torch.device:
        return self.real.device

    def stations(self, plan: Plan, folder: Path) -> Sequence[Station]:
        return self.real.stations(replace(plan, command=(sys.executable, "-c", WORKER)), folder)


def cost_ms(executor: Executor, path: Path) -> float:
    """Milliseconds per case, from the first case to the last row on disk."""
    cases = [case(batch=batch) for batch in range(1, CASES + 1)]
    code = measure_run(cases, Instant(executor), path, Conduct(Timing()), {})
    if code:
        raise RuntimeError(f"the run ended with {code}")
    begun, ended = (path / name for name in ("environment.json", "results.csv"))
    return (ended.stat().st_mtime - begun.stat().st_mtime) / CASES * 1e3


if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    place = Place(device="cpu", executor="ray", address="local")
    chosen = executor_of(place) if name == "ray" else LocalExecutor([Seat("cpu")] * count, mixed=count > 1)
    with tempfile.TemporaryDirectory() as folder:
        print(f"cost: {cost_ms(chosen, Path(folder, 'run')):.2f} ms a case")  # noqa: T201
