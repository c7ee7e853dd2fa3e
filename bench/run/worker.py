"""The side of a worker that asks: starts it, waits for it, and replaces it when it died, hung or is worn out.

This process makes no CUDA context of its own, so that nothing that happens on the device can end it.
"""

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self, TypeVar

from .. import ROOT, module_command
from ..case.case import Case
from ..errors import WorkerError
from ..measure.steps import StepResult
from ..results.columns import NOT_RUN
from .messages import Answer, Question, Setup

COMMAND = module_command("bench.run.worker_process")
_START_SECONDS, _KILL_SECONDS, _END_SECONDS, _SLICE_SECONDS = 300.0, 60.0, 5.0, 1.0
# Processes that are started in a row before it is given up: the first may have been killed by chance.
_ATTEMPTS = 3
_LATE = f"{NOT_RUN} to its end: the time for the whole run was over, the worker was killed"

T = TypeVar("T")


class _Gone(Exception):  # noqa: N818
    """The worker did not answer: the status that this gives a case, and the reason as the message."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Worker:
    """One process that measures, and the next one where it ends. A context: it is ended on the way out.

    Args:
        setup: What it measures on.
        log: The file that its output is added to.
        case_timeout: Seconds that all steps of a case may take together; then the process is killed.
        deadline: When the process is killed whatever it does, on the clock of `time.monotonic`.
        cases: After so many cases it is replaced, before the next problem.
        command: What starts it; the socket's number is added.
        started: How many processes there were so far.
    """

    setup: Setup
    log: Path
    case_timeout: float = 600.0
    deadline: float = math.inf
    cases: int = 250
    command: Sequence[str] = field(default_factory=lambda: COMMAND)
    started: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _connection: Connection | None = None
    _used: dict[Case, float] = field(default_factory=dict)
    _prepared: int = 0
    _problem: object = None
    _uncaptured: set[tuple[str, str, str]] = field(default_factory=set)
    _stopped: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, case: Case) -> StepResult:
        """Refuse a case, or check its results and weigh its memory."""
        if case.posed != self._problem and self._prepared >= self.cases:
            self.close()
        self._problem = case.posed
        self._prepared += 1
        self._used.pop(case, None)
        return self._step("prepare", case)

    def round(self, case: Case) -> StepResult:
        """Take the samples of one round."""
        return self._timed("round", case)

    def recheck(self, case: Case) -> StepResult:
        """Check what was timed once more, on inputs drawn anew."""
        return self._timed("recheck", case)

    def fits(self, case: Case) -> StepResult:
        """Call a case once, with a case's time for itself: whether the memory is enough for it."""
        self._used.pop(case, None)
        return self._step("fits", case)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a module's function gives in the worker, where questions to the device belong.

        Raises:
            WorkerError: The function raised an exception, or the worker died of it.
        """
        try:
            return self._ask(Question("call", (function, *arguments)), self.case_timeout)  # type: ignore[no-any-return]
        except _Gone as gone:
            raise WorkerError(str(gone)) from None

    def stop(self) -> None:
        """Kill the process for good, while another thread may be waiting for it; that one gets a WorkerError."""
        self._stopped = True
        process = self._process
        if process is not None:
            self._kill(process)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._kill(self._process)
        self._connection = self._process = None
        self._prepared = 0

    def _timed(self, what: str, case: Case) -> StepResult:
        captured = (case.implementation, case.mode, case.scope)
        step = self._step(what, case, {"capture": captured not in self._uncaptured})
        if step.capture_failed:
            # What cannot be captured once is not tried again: each try would cost a process.
            self._uncaptured.add(captured)
        return step

    def _step(self, what: str, case: Case, options: Mapping[str, Any] | None = None) -> StepResult:
        self._require_running()
        used, start = self._used.get(case, 0.0), time.monotonic()
        try:
            seconds = min(self.case_timeout - used, self.deadline - start)
            step: StepResult = self._ask(Question(what, (case,), options or {}), seconds)
        except _Gone as gone:
            self.close()
            late = gone.status == "timeout" and time.monotonic() >= self.deadline
            return StepResult(status=gone.status, reason=_LATE if late else str(gone), usable=False)
        finally:
            self._used[case] = used + time.monotonic() - start
        if not step.usable or step.capture_failed:
            self.close()
        return step

    def _ask(self, question: Question, seconds: float) -> Any:
        self._require_running()
        self._send(question)
        answer = self._answer(seconds)
        if answer.failure is not None:
            raise WorkerError(answer.failure)
        return answer.value

    def _answer(self, seconds: float) -> Answer:
        """Wait for an answer, a death or the end of the time."""
        assert self._connection is not None  # noqa: S101  for the type checker
        assert self._process is not None  # noqa: S101  for the type checker
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            # In slices, as a process that a dead worker left behind may hold the socket open.
            if self._connection.poll(max(0.0, min(_SLICE_SECONDS, left))):
                try:
                    return self._connection.recv()  # type: ignore[no-any-return]
                except (EOFError, OSError):
                    raise _Gone("crashed", self._obituary()) from None
            if self._process.poll() is not None and not self._connection.poll(0):
                raise _Gone("crashed", self._obituary())
            if left <= 0:
                limit = f"no answer within {self.case_timeout:g} s (--case-timeout), the worker was killed"
                raise _Gone("timeout", limit)

    def _require_running(self) -> None:
        if self._process is not None:
            return
        for attempt in range(1, _ATTEMPTS + 1):
            if self._stopped:
                raise WorkerError("the worker was stopped")
            try:
                self._start()
            except _Gone as gone:
                self.close()
                if attempt == _ATTEMPTS:
                    raise WorkerError(f"a worker cannot be started: {gone}; see {self.log}") from None
            else:
                return

    def _start(self) -> None:
        """Start a process and wait until it has loaded everything."""
        ours, theirs = socket.socketpair()
        with theirs, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, str(theirs.fileno())],
                cwd=ROOT,
                env=self.setup.variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C is ours alone
            )
        self._connection = Connection(ours.detach())
        self.started += 1
        if self._stopped:
            raise _Gone("crashed", "the worker was stopped")
        self._send(self.setup)
        self._answer(_START_SECONDS)

    def _send(self, message: object) -> None:
        assert self._connection is not None  # noqa: S101  for the type checker
        try:
            self._connection.send(message)
        except OSError:
            raise _Gone("crashed", self._obituary()) from None

    def _obituary(self) -> str:
        """How the process ended, in words."""
        assert self._process is not None  # noqa: S101  for the type checker
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "the worker closed its connection and had to be killed"
        if code >= 0:
            return f"the worker ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = ", as the system does where memory is short" if name == "SIGKILL" else ""
        return f"the worker was killed by {name}{hint}"

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        """Kill a process with whatever it started, which is its session."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_KILL_SECONDS)
