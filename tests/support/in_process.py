"""The suite without processes of its own: its command, and its worker."""

from collections.abc import Callable
from typing import Any, Self

import torch

from bench.measure.runner import Runner
from bench.run.messages import Setup

# Arguments of the command → exit code, what it said on stdout, and on stderr.
Invoke = Callable[..., tuple[int, str, str]]


class InProcess:
    """A worker that is no process: what a test plants here is what is measured."""

    def __init__(self, setup: Setup, *_: Any, **__: Any) -> None:
        self.runner = Runner(torch.device(setup.device), setup.timing)
        self.prepare, self.round = self.runner.prepare, self.runner.round
        self.recheck, self.fits = self.runner.recheck, self.runner.fits

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        pass

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)
