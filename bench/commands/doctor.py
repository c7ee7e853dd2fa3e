"""One invocation of `python -m bench doctor`: prints each check, keeps what was found."""

import torch
import typer
from rich.console import Console
from rich.text import Text

from ..device.calibration import keep
from ..device.device import device_name, forbid_tf32
from ..device.doctor import FAIL, Examination
from ..errors import UsageError
from ..locks import held
from .run import Request, refuse

FAILED_EXIT = 1
_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def run_doctor(request: Request) -> int:
    """Examine a device; return the exit code: 1 if a check failed."""
    console = Console()
    try:
        device = request.torch_device()
        with held(device):
            return _examine(device, console)
    except UsageError as error:
        return refuse(error)


def _examine(device: torch.device, console: Console) -> int:
    """Print and keep what is found; the exit code."""
    forbid_tf32()
    examination = Examination(device)
    typer.echo(f"{device_name(device)}: measured for about half a minute, keep the machine quiet")
    for check in examination.run():
        console.print(Text(check.verdict, style=_COLOURS[check.verdict]), Text(f"{check.name}: {check.found}"))
        if check.advice and check.verdict != "PASS":
            console.print(Text(f"     → {check.advice}"))
    typer.echo(f"kept in {keep(device, examination.diagnosis())}, for runs on this device")
    return FAILED_EXIT if any(check.verdict == FAIL for check in examination.checks) else 0
