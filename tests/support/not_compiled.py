"""Kernels as they are launched, without a binary."""

from dataclasses import replace
from typing import Any

import torch

from kernels import CompiledKernel, Problem
from kernels.implementations.triton_fused import plans
from kernels.implementations.triton_fused.geometry import geometry_of
from kernels.implementations.triton_fused.settings import Kernel, heuristic

CPU = torch.device("cpu")


def binary(kernel: Kernel, problem: Problem, **geometry: Any) -> CompiledKernel:
    """A kernel that is not compiled, its geometry changed."""
    settings = heuristic(kernel, problem)
    laid_out = replace(geometry_of(kernel, problem, settings), **geometry)
    return CompiledKernel(
        kernel=kernel,
        problem=problem,
        capability=(9, 0),
        geometry=laid_out,
        programs=plans.Launch(kernel, problem, settings, CPU).grid[0],
        warps=laid_out.lanes // 32,
        ptx="",
        cubin=b"",
        shared_bytes=0,
        compile_seconds=0.0,
    )
