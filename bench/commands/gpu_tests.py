"""The tests that need a GPU, run before it is measured, within minutes and whatever becomes of them."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import typer

from .. import INSTALLED, ROOT, SUITE
from ..errors import UsageError

# A warning that nobody foresaw, or a module that cannot be collected, must not keep a GPU from being measured.
COMMAND = (sys.executable, "-m", "pytest", "-m", "gpu", "--quiet", "-W", "default", "--continue-on-collection-errors")


@dataclass(frozen=True)
class Proof:
    """What came of the tests, in words, and whether they passed without a warning, or were skipped by request."""

    words: str
    clean: bool


def require_tests() -> None:
    """Refuse to run tests that are not there.

    Raises:
        UsageError: The suite was installed from a wheel, which has none.
    """
    if INSTALLED:
        raise UsageError(f"the GPU's tests are in a checkout alone: `{SUITE} gpu --no-tests` measures without them")


def run_tests(seconds: float) -> Proof:
    """Run the tests for so many seconds at the most, and show what they print."""
    start = time.monotonic()
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as running:
        ended = threading.Timer(seconds, running.kill)
        ended.start()
        last = ""
        try:
            assert running.stdout is not None  # noqa: S101  for the type checker
            for line in running.stdout:
                typer.echo(line, nl=False)
                last = line.strip(" =\n") or last
            code = running.wait()
        finally:
            ended.cancel()
    took = time.monotonic() - start
    if code < 0 and took >= seconds:
        return Proof(f"not finished within {seconds:.0f} s", clean=False)
    if code:
        return Proof(f"failed: pytest ended with {code}, {last!r}, after {took:.0f} s", clean=False)
    if "warning" in last:
        return Proof(f"passed with warnings: {last!r}, in {took:.0f} s", clean=False)
    return Proof(f"passed in {took:.0f} s", clean=True)
