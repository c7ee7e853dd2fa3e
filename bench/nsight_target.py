"""`python -m bench.nsight_target CASE.json DEVICE`: one call of a case between cudaProfilerStart and Stop, for ncu."""

import json
import sys
from pathlib import Path

import torch

from .cases import Case, make_case
from .devices import forbid_tf32
from .profiling import Steady

_WARMUP_CALLS = 2


def main() -> None:
    """Compile and warm up outside of what is counted, then make the one call."""
    forbid_tf32()
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
