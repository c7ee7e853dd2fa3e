"""`python -m tests.support.scheduling_cost local|ray [DEVICES]`: what a case costs besides being measured, in ms.

The workers answer every step at once, and each of the 1,000 cases is a problem of its own.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.case.case import Case
from bench.device.timing import Timing
from bench.run.conduct import Conduct
from bench.run.executors import Executor, LocalExecutor, Seat, executor_of
from bench.run.run import Reporter, Target, measure_run
from bench.run.slot import Slot
from tests.support.bench_cases import case

CASES = 1_000
# As text, since the nodes of a cluster have the suite and not its tests.
WORKER = """
import sys
from multiprocessing.connection import Connection
from bench.run import worker_process as worker
from bench.run.messages import Answer
from bench.measure.steps import StepResult
from bench.samples import Block, Latency

worker.die_with_parent()
connection = Connection(int(sys.argv[1]))
connection.recv()
connection.send(Answer())
block = Block([0.1, 0.2, 0.3], "samples")
answers = {
    "prepare": lambda case: StepResult(),
    "round": lambda case, capture: StepResult(latency=Latency([block], 0.01, "wall")),
}
worker.serve(connection, {**answers, "call": lambda function, *arguments: function(*arguments)})
"""


@dataclass(frozen=True)
class Instant:
    """The slots of another executor, whose workers measure nothing."""

    real: Executor
    mixed: bool = True

    @property
    def device(self) -> torch.device:
        return self.real.device

    def slots(self, conduct: Conduct, argv: tuple[str, ...], folder: Path) -> Sequence[Slot]:
        slots = self.real.slots(conduct, argv, folder)
        return [replace(slot, command=(sys.executable, "-c", WORKER)) for slot in slots]  # type: ignore[type-var]


@contextmanager
def silent(_: Sequence[Case]) -> Iterator[Reporter]:
    """No progress."""
    yield lambda *_: None


def cost_ms(executor: Executor, path: Path) -> float:
    """Milliseconds per case, from the first case to the last row on disk."""
    cases = [case(batch=batch) for batch in range(1, CASES + 1)]
    measure_run(cases, Instant(executor), Target(path, {}), Conduct(Timing()), silent)
    begun, ended = (path / name for name in ("environment.json", "results.csv"))
    return (ended.stat().st_mtime - begun.stat().st_mtime) / CASES * 1e3


if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if name == "ray":
        chosen = executor_of("ray", "cpu", None, "local")
    else:
        chosen = LocalExecutor([Seat("cpu")] * count, mixed=count > 1)
    with tempfile.TemporaryDirectory() as folder:
        print(f"cost: {cost_ms(chosen, Path(folder, 'run')):.2f} ms a case")  # noqa: T201
