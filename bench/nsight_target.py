"""`python -m bench.nsight_target CASE.json DEVICE`: one call of a case between cudaProfilerStart and Stop, for ncu."""

import json
import sys
from pathlib import Path

import torch

from .cases import make_case
from .devices import forbid_tf32
from .profiling import Steady

_WARMUP_CALLS = 2


def main() -> None:
    """Compile and warm up outside of what is counted, then make the one call."""
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    device = torch.device(sys.argv[2])
    implementation = values.pop("implementation")
    del values["kind"]
    forbid_tf32()
    torch.cuda.set_device(device)
    steady = Steady(make_case(values, implementation), device)
    for _ in range(_WARMUP_CALLS):
        steady.run()
    runtime = torch.cuda.cudart()
    runtime.cudaProfilerStart()
    steady.run()
    runtime.cudaProfilerStop()


if __name__ == "__main__":
    main()
