"""`python -m bench.profile.nsight_target CASE.json DEVICE`, for ncu: a call between cudaProfilerStart and Stop."""

import json
import sys
from pathlib import Path

import torch

from ..case.case import Case, make_case
from .recording import Steady

_WARMUP_CALLS = 2


def main() -> None:
    """Compile and warm up outside of what is counted, then make the one call."""
    steady = Steady(read_case(Path(sys.argv[1])), torch.device(sys.argv[2]))
    for _ in range(_WARMUP_CALLS):
        steady.run()
    runtime = torch.cuda.cudart()
    runtime.cudaProfilerStart()
    steady.run()
    runtime.cudaProfilerStop()


def read_case(path: Path) -> Case:
    """The case whose parameters a file holds as a JSON object."""
    parameters = json.loads(path.read_text(encoding="utf-8"))
    del parameters["kind"]  # it follows from the name
    return make_case(parameters, parameters.pop("implementation"))


if __name__ == "__main__":
    main()
