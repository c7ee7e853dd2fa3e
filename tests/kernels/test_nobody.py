"""A user without a name or a home, as in slim containers: the package loads, and what cannot keep files says so."""

import subprocess
import sys

from tests import ROOT

SCRIPT = """
import os, pwd
for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)


def nobody(*_):
    raise KeyError("getpwuid(): uid not found")


pwd.getpwuid = pwd.getpwnam = nobody
import torch
from kernels import local_relation, problem_of, unsupported

query, value = torch.ones(1, 1, 4, 4), torch.ones(1, 2, 4, 4)
problem = problem_of(query, query, value, None, kernel_size=3, m=2, padding=1)
print(unsupported("native", problem, "cpu"))
print(float(local_relation(query, query, value, kernel_size=3, m=2).sum()))
"""


def test_a_user_without_a_name_or_a_home() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reason, total = done.stdout.splitlines()
    assert "cannot be kept" in reason
    # The weights of each pixel sum to 1, so that a map of ones stays one.
    assert abs(float(total) - 32) < 1e-4
