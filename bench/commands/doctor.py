"""`python -m bench doctor`: examines a device, prints each check and keeps what was found for runs."""

from contextlib import ExitStack

import torch
import typer
from rich.console import Console
from rich.text import Text

from kernels import Problem

from ..device.calibration import keep, require_writable
from ..device.device import device_name, forbid_tf32, require_device
from ..device.doctor import FAIL, Examination
from ..device.timers import Call
from ..errors import Exit
from ..locks import owned
from ..measure.workloads import build, call, draw
from ..processes import console

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}
# The problem whose noise is measured: plain PyTorch, so that nothing is compiled; some ms on a CPU.
_PROBLEM = Problem(batch=2, channels=64, height=28, width=28, kernel_size=3, m=8, padding=1)


def run_doctor(name: str) -> Exit:
    """Examine the device of a name; the exit code: 1 if a check failed.

    Raises:
        UsageError: There is no such device, or another benchmark has it.
    """
    device = require_device(name)
    require_writable(device)
    with ExitStack() as held:
        if device.type == "cuda":
            held.enter_context(owned(str(torch.cuda.get_device_properties(device).uuid)))
        return _examine(device, console())


def _examine(device: torch.device, console: Console) -> Exit:
    """Print and keep what is found."""
    forbid_tf32()
    examination = Examination(device, _plain)
    typer.echo(f"{device_name(device)}: measured for about half a minute, keep the machine quiet")
    for check in examination.run():
        console.print(Text(check.verdict, style=_COLOURS[check.verdict]), Text(f"{check.name}: {check.found}"))
        if check.advice and check.verdict != "PASS":
            console.print(Text(f"     → {check.advice}"))
    typer.echo(f"kept in {keep(device, examination.calibration())}, for runs on this device")
    return Exit.FAILED if any(check.verdict == FAIL for check in examination.checks) else Exit.OK


def _plain(device: torch.device) -> Call:
    """The layer by plain PyTorch, forward."""
    return call(build(_PROBLEM, "operator", draw(_PROBLEM, "operator", device), "unfold"), "forward")
